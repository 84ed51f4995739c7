"""Commits that lack what a commit has, or say it so that readers differ."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.hostile.bad_trees import FSCK
from testbed.hostile.packs import pack
from testbed.hostile.push import History, HostilePush, Verdict, creating
from testbed.hostile.raw_objects import WHO, Kind, RawObject, commit
from testbed.hostile.seed import DORMANT

_AUTHOR, _COMMITTER = b"author " + WHO, b"committer " + WHO


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    yield from _lines()
    yield from _people()
    yield from _holes()
    yield from _nul_bytes()


def _of(
    name: str,
    hostile: str,
    content: bytes,
    history: History,
    *,
    ours: str | None = FSCK,
    c_git: Verdict = Verdict.REFUSED,
) -> HostilePush:
    """Return the push of a commit of this content, beside a history it may rest on."""
    tip = RawObject(Kind.COMMIT, content)
    packed = pack(tip, *history.objects)
    return creating(name, hostile, tip.id, packed, ours=ours, c_git=c_git)


def _lines() -> Iterator[HostilePush]:
    """What git-fsck(1) knows about a commit's header."""
    tree = b"tree %s"
    parent = b"parent " + b"5" * 39
    for name, hostile, lines in (
        ("commit-empty", "nothing in it", ()),
        ("commit-without-tree", "it begins with its author", (_AUTHOR, _COMMITTER)),
        ("commit-without-author", "nobody wrote it", (tree, _COMMITTER)),
        ("commit-without-committer", "nobody made it", (tree, _AUTHOR)),
        ("commit-of-two-authors", "readers choose", (tree, _AUTHOR, _AUTHOR, _COMMITTER)),
        ("commit-of-a-short-tree", "an id of 39 digits", (b"tree %.39s", _AUTHOR, _COMMITTER)),
        ("commit-of-a-short-parent", "an id of 39 digits", (tree, parent, _AUTHOR, _COMMITTER)),
        ("commit-of-no-hex-tree", "no id", (b"tree " + b"g" * 40, _AUTHOR, _COMMITTER)),
    ):
        history = History.of(name)
        content = b"\n".join([*lines, b"", b"x\n"]) if lines else b""
        if b"%" in content:
            content = content % history.folder.id.encode()
        yield _of(name, hostile, content, history, ours=".")


def _people() -> Iterator[HostilePush]:
    for name, hostile, who in (
        ("commit-without-email", "no address", b"Eve 1700000000 +0000"),
        ("commit-of-an-open-email", "an address without an end", b"Eve <eve 1700000000 +0000"),
        ("commit-of-two-emails", "an address in an address", b"Eve <e<v>e> 1700000000 +0000"),
        ("commit-without-space", "no space before the address", b"Eve<e@v> 1700000000 +0000"),
        ("commit-without-date", "no time", b"Eve <e@v>"),
        ("commit-of-a-date-in-words", "no number", b"Eve <e@v> yesterday +0000"),
        (
            "commit-of-a-date-with-a-zero",
            "readers take it for octal",
            b"Eve <e@v> 01700000000 +0000",
        ),
        (
            "commit-of-a-date-beyond-64-bits",
            "it overflows",
            b"Eve <e@v> 99999999999999999999 +0000",
        ),
        ("commit-of-a-date-below-zero", "no date", b"Eve <e@v> -1 +0000"),
        ("commit-without-zone", "no time zone", b"Eve <e@v> 1700000000"),
        ("commit-of-a-zone-in-words", "no number", b"Eve <e@v> 1700000000 Zulu"),
    ):
        history = History.of(name)
        content = commit(history.folder.id, author=who).content
        yield _of(name, hostile, content, history)


def _holes() -> Iterator[HostilePush]:
    name = "commit-of-a-missing-parent"
    history = History.of(name)
    tip = commit(history.folder.id, history.tip.id)
    packed = pack(tip, history.folder, history.file)
    yield creating(name, "a hole in the history", tip.id, packed, ours=".")

    name = "commit-of-a-missing-grandparent"
    history = History.of(name)
    parent = commit(history.folder.id, history.tip.id)
    tip = commit(history.folder.id, parent.id)
    packed = pack(tip, parent, history.folder, history.file)
    yield creating(name, "a hole further down", tip.id, packed, ours=".")

    name = "commit-of-a-missing-tree"
    history = History.of(name)
    yield creating(name, "a hole", history.tip.id, pack(history.tip, history.file), ours=".")

    for name, hostile, part in (
        ("commit-whose-tree-is-a-file", "a blob for a tree", "file"),
        ("commit-whose-tree-is-a-commit", "a commit for a tree", "tip"),
    ):
        history = History.of(name)
        target: RawObject = getattr(history, part)
        yield _of(name, hostile, commit(target.id).content, history, ours=".")

    for name, hostile, part in (
        ("commit-whose-parent-is-a-file", "a blob for a commit", "file"),
        ("commit-whose-parent-is-a-tree", "a tree for a commit", "folder"),
    ):
        history = History.of(name)
        target = getattr(history, part)
        content = commit(history.folder.id, target.id).content
        yield _of(name, hostile, content, history, ours=".")

    name = "commit-whose-tree-is-an-old-file"
    history = History.of(name)
    content = commit(DORMANT.id).content
    yield _of(name, "the file came with another push", content, history, ours=".")

    name = "commit-whose-parent-is-null"
    history = History.of(name)
    content = commit(history.folder.id, "0" * 40).content
    yield _of(name, "the id of no object", content, history, ours=".")


def _nul_bytes() -> Iterator[HostilePush]:
    name = "commit-with-nul-in-its-header"
    history = History.of(name)
    content = commit(history.folder.id, author=b"Eve\0 <e@v> 1700000000 +0000").content
    yield _of(name, "readers in C see half a header", content, history)

    name = "commit-with-nul-in-its-message"
    history = History.of(name)
    content = commit(history.folder.id, message=b"fine\0evil\n").content
    yield _of(name, "readers in C see half a message", content, history)

    name = "commit-that-ends-in-its-header"
    history = History.of(name)
    content = commit(history.folder.id).content.partition(b"\n\n")[0]
    yield _of(name, "no empty line, no end of a line", content, history)

    name = "commit-with-an-unknown-line"
    history = History.of(name)
    known, _, message = commit(history.folder.id).content.partition(b"\n\n")
    content = known + b"\nevil \x1b[2J\n\n" + message
    yield _of(
        *(name, "control characters where no git looks", content, history),
        ours=None,
        c_git=Verdict.ACCEPTED,
    )
