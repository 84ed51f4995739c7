"""Folders that would write where no folder may, or that two gits read differently."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.hostile.packs import pack
from testbed.hostile.push import History, HostilePush, Verdict, creating
from testbed.hostile.raw_objects import FILE, FOLDER, Kind, RawObject, blob, commit, tree
from testbed.hostile.seed import DORMANT

FSCK = "fsck error"
_NULL = "0" * 40

_EVIL_NAMES = {
    "dotgit": (b".git", "a checkout would write the repository's own configuration"),
    "dotgit-in-capitals": (b".GIT", "the same, where file names have no case"),
    "dotgit-with-a-space": (b".git ", "NTFS drops spaces at the end of a name"),
    "dotgit-with-a-dot": (b".git.", "NTFS drops dots at the end of a name"),
    "dotgit-in-8-letters": (b"git~1", "NTFS gives .git a short name, too"),
    "dotgit-stream": (b".git::$INDEX_ALLOCATION", "NTFS's long name for the folder itself"),
    "dotgit-behind-a-backslash": (b"a\\.git", "Windows takes it for .git in the folder a"),
    "dotgit-with-an-invisible": (".g\u200cit".encode(), "HFS+ passes over the U+200C"),
    "dotgit-with-a-mark": ("\ufeff.git".encode(), "HFS+ passes over the U+FEFF"),
    "dot-dot": (b"..", "a checkout would write above itself"),
    "dot": (b".", "a checkout would write over itself"),
    "of-no-name": (b"", "a file without a name is its folder"),
    "with-a-slash": (b"../x", "a checkout would write beside itself"),
    "absolute": (b"/etc/passwd", "a checkout would write anywhere"),
}


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    for ending, (evil, hostile) in _EVIL_NAMES.items():
        name = f"tree-{ending}"
        config = blob(f"{name}\n".encode())
        inner = tree((FILE, b"config", config.id))
        yield _of(name, hostile, tree((FOLDER, evil, inner.id)), inner, config)
    yield _deep_inside()
    yield from _disorder()
    yield from _bad_entries()
    yield from _wrong_kinds()
    yield _deep()
    yield _wide()


def _of(
    name: str,
    hostile: str,
    root: RawObject,
    *others: RawObject,
    ours: str | None = FSCK,
    c_git: Verdict = Verdict.REFUSED,
) -> HostilePush:
    """Return the push of a commit of a folder."""
    tip = commit(root.id)
    packed = pack(tip, root, *others)
    return creating(name, hostile, tip.id, packed, ours=ours, c_git=c_git)


def _deep_inside() -> HostilePush:
    """The evil tree is no root, and no ref's tip: an old commit has it, three folders down."""
    name = "tree-dotgit-deep-in-the-history"
    history = History.of(name)
    evil = tree((FOLDER, b".git", history.folder.id))
    roots = [evil]
    for _ in range(3):
        roots.append(tree((FOLDER, b"below", roots[-1].id)))
    old = commit(roots[-1].id)
    tip = commit(history.folder.id, old.id)
    packed = pack(tip, old, *roots, history.folder, history.file)
    return creating(name, "the tip itself is harmless", tip.id, packed, ours=FSCK)


def _disorder() -> Iterator[HostilePush]:
    for name, hostile, names in (
        ("tree-unsorted", "a search for the second name misses it", (b"b", b"a")),
        ("tree-with-a-name-twice", "two gits read two files", (b"a", b"a")),
    ):
        file = blob(f"{name}\n".encode())
        yield _of(name, hostile, tree(*((FILE, each, file.id) for each in names)), file)

    name = "tree-with-a-file-and-folder-of-a-name"
    file = blob(f"{name}\n".encode())
    inner = tree((FILE, b"b", file.id))
    root = tree((FILE, b"a", file.id), (FILE, b"a.", file.id), (FOLDER, b"a", inner.id))
    yield _of(name, "sorted as git sorts, and twice all the same", root, inner, file)


def _bad_entries() -> Iterator[HostilePush]:
    name = "tree-mode-with-a-zero"
    file = blob(f"{name}\n".encode())
    inner = tree((FILE, b"file", file.id))
    root = tree((b"040000", b"folder", inner.id))
    yield _of(name, "two ids for one folder", root, inner, file)

    for name, hostile, mode in (
        ("tree-mode-not-octal", "not a number", b"10x644"),
        ("tree-mode-missing", "an entry begins with its space", b""),
    ):
        file = blob(f"{name}\n".encode())
        yield _of(name, hostile, tree((mode, b"file", file.id)), file, ours=".")

    for name, hostile, mode in (
        ("tree-mode-setuid", "git only reports permissions it never gives", b"104755"),
        ("tree-mode-of-no-kind", "git reports it, and takes it for a submodule's", b"170000"),
    ):
        file = blob(f"{name}\n".encode())
        root = tree((mode, b"file", file.id))
        yield _of(name, hostile, root, file, ours=None, c_git=Verdict.ACCEPTED)

    name = "tree-mode-too-large"
    file = blob(f"{name}\n".encode())
    root = tree((b"40000100644", b"file", file.id))
    tip = commit(root.id)
    yield creating(
        *(name, "a file's in 32 bits, something else in 64", tip.id, pack(tip, root, file)),
        ours=".",
        c_git=Verdict.ACCEPTED,
        because="git lets the number overflow; we read root folders, and not as git does",
    )

    name = "tree-of-nothing"
    yield _of(name, "the id of no object", tree((FILE, name.encode(), _NULL)), ours=".")

    for name, hostile, cut in (
        ("tree-cut-in-an-id", "its last entry ends in the id", 5),
        ("tree-cut-before-an-id", "its last entry ends with the name", 20),
        ("tree-cut-in-a-name", "its last entry's name has no end", 21),
    ):
        file = blob(f"{name}\n".encode())
        whole = tree((FILE, b"a", file.id), (FILE, b"b", file.id))
        yield _of(name, hostile, RawObject(Kind.TREE, whole.content[:-cut]), file, ours=".")

    name = "tree-of-text"
    text = RawObject(Kind.TREE, f"{name}: web: exec serve\n".encode())
    yield _of(name, "no entry at all", text, ours=".")


def _wrong_kinds() -> Iterator[HostilePush]:
    for name, hostile, entry in (
        ("tree-that-calls-a-folder-a-file", "a blob by its mode, a tree by itself", (FILE, "tree")),
        (
            "tree-that-calls-a-file-a-folder",
            "a tree by its mode, a blob by itself",
            (FOLDER, "blob"),
        ),
        (
            "tree-that-calls-a-commit-a-file",
            "a blob by its mode, a commit by itself",
            (FILE, "commit"),
        ),
    ):
        history = History.of(name)
        mode, kind = entry
        target = {"tree": history.folder, "blob": history.file, "commit": history.tip}[kind]
        yield _of(name, hostile, tree((mode, b"x", target.id)), *history.objects, ours=".")

    name = "tree-with-a-missing-file"
    history = History.of(name)
    packed = pack(history.tip, history.folder)
    yield creating(name, "a hole", history.tip.id, packed, ours=".")

    name = "tree-with-a-missing-folder"
    history = History.of(name)
    root = tree((FOLDER, b"folder", history.folder.id))
    yield _of(name, "a hole", root, history.file, ours=".")

    name = "tree-that-calls-an-old-file-a-folder"
    root = tree((FOLDER, b"folder", DORMANT.id))
    yield _of(name, "the file came with another push", root, ours=".")

    name = "tree-with-a-submodule-that-is-nowhere"
    file = blob(f"{name}\n".encode())
    root = tree((FILE, b"a", file.id), (b"160000", b"module", "4" * 40))
    hostile = "no hole: a submodule's commit is another repository's"
    yield _of(name, hostile, root, file, ours=None, c_git=Verdict.ACCEPTED)


def _deep() -> HostilePush:
    """Every reader that recurses runs out of stack, on the server and in each clone."""
    name = "tree-of-50000-folders-in-each-other"
    file = blob(f"{name}\n".encode())
    folders = [tree((FILE, b"f", file.id))]
    for _ in range(50_000):
        folders.append(tree((FOLDER, b"d", folders[-1].id)))
    return _of(name, "who walks it has to recurse", folders[-1], *folders[:-1], file, ours=".")


def _wide() -> HostilePush:
    """Ten folders of the same ten folders, ten times: a checkout never ends."""
    name = "tree-of-ten-billion-files"
    file = blob(f"{name}\n".encode())
    folders = [tree(*((FILE, b"%d" % number, file.id) for number in range(10)))]
    for _ in range(9):
        below = folders[-1].id
        folders.append(tree(*((FOLDER, b"%d" % number, below) for number in range(10))))
    root, *others = *reversed(folders), file
    hostile = "whoever checks it out fills a disk"
    return _of(name, hostile, root, *others, ours=None, c_git=Verdict.ACCEPTED)
