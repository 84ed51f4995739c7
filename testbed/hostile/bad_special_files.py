"""Files that a clone obeys: ``.gitmodules`` and its like, as attacks of the past wrote them."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.hostile.bad_trees import FSCK
from testbed.hostile.packs import pack
from testbed.hostile.push import HostilePush, Verdict, creating
from testbed.hostile.raw_objects import FILE, FOLDER, LINK, RawObject, blob, commit, tree
from testbed.hostile.seed import DORMANT

_MODULES = b".gitmodules"
_LARGE = 9 << 20
"""More than our receiver's ``core.bigFileThreshold``: git streams such files past some checks."""

_EVIL_CONTENT = {
    "of-an-option-for-a-url": (
        *("clone runs what -u names (CVE-2018-17456)", "x", "url = -u./payload"),
    ),
    "of-an-option-for-a-path": (
        *("clone takes the path for an option (CVE-2018-17456)", "x", "path = -u./payload"),
    ),
    "of-a-name-above": (
        *("its hooks are those of a folder of the tree (CVE-2018-11235)", "../../x", "path = x"),
    ),
    "of-a-name-above-for-windows": (
        *("the same with the other slash (CVE-2018-11235)", "..\\\\..\\\\x", "path = x"),
    ),
    "of-a-command-for-an-update": (*("clone runs it (CVE-2019-19604)", "x", "update = !payload"),),
    "of-a-url-of-two-lines": (
        *("it asks for another host's password (CVE-2020-5260)", "x"),
        "url = https://example.com/%0ahost=example.org/x",
    ),
    "of-a-url-without-a-host": (
        *("the same, without a host (CVE-2020-11008)", "x", "url = https:///example.com/x"),
    ),
    "of-a-url-above-its-host": (
        *("relative, up to another protocol (CVE-2020-11008)", "x", "url = ../../../../:x.git"),
    ),
}


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    for ending, (hostile, module, line) in _EVIL_CONTENT.items():
        name = f"gitmodules-{ending}"
        yield _of(name, hostile, blob(f'# {name}\n[submodule "{module}"]\n\t{line}\n'.encode()))
    yield from _under_other_names()
    yield from _read_otherwise()
    yield from _links()
    yield from _attributes()


def _of(
    name: str,
    hostile: str,
    file: RawObject,
    *others: RawObject,
    called: bytes = _MODULES,
    mode: bytes = FILE,
    ours: str | None = FSCK,
    c_git: Verdict = Verdict.REFUSED,
) -> HostilePush:
    """Return the push of a commit of one file; the file goes first, before anything names it."""
    root = tree((mode, called, file.id))
    tip = commit(root.id)
    packed = pack(file, *others, root, tip)
    return creating(name, hostile, tip.id, packed, ours=ours, c_git=c_git)


def _evil(name: str) -> RawObject:
    return blob(f'# {name}\n[submodule "../../x"]\n\turl = -u./payload\n'.encode())


def _under_other_names() -> Iterator[HostilePush]:
    for name, hostile, called in (
        ("gitmodules-in-capitals", "a file system without case", b".GITMODULES"),
        ("gitmodules-in-8-letters", "NTFS gives it a short name", b"GITMOD~1"),
        ("gitmodules-in-8-other-letters", "and another, when that is taken", b"GI7EBA~1"),
        ("gitmodules-with-an-invisible", "HFS+ passes over it", ".gitmod\u200cules".encode()),
        ("gitmodules-with-a-stream", "NTFS's long name for the file", b".gitmodules::$DATA"),
    ):
        yield _of(name, hostile, _evil(name), called=called)

    name = "gitmodules-that-came-before"
    root = tree((FILE, _MODULES, DORMANT.id))
    tip = commit(root.id)
    hostile = "the file came with another push, under a harmless name; only its new name is sent"
    yield creating(name, hostile, tip.id, pack(tip, root), ours=FSCK)


def _read_otherwise() -> Iterator[HostilePush]:
    name = "gitmodules-as-a-folder"
    file = blob(f"{name}\n".encode())
    inner = tree((FILE, b"x", file.id))
    yield _of(name, "what it holds is not looked at", inner, file, mode=FOLDER)

    name = "gitmodules-of-9-mib"
    evil = _evil(name)
    large = blob(evil.content + b"\n" * _LARGE)
    yield _of(name, "checks that read whole files pass over large ones", large)

    name = "gitmodules-unreadable"
    file = blob(f"[[[ {name}\n".encode())
    hostile = "git reports it and goes on: no git that cannot read it obeys it"
    yield _of(name, hostile, file, ours=None, c_git=Verdict.ACCEPTED)


def _links() -> Iterator[HostilePush]:
    name = "gitmodules-as-a-link"
    link = blob(f"../{name}".encode())
    yield _of(name, "what it points at is checked by nobody", link, mode=LINK)

    for name, called in (
        ("gitattributes-as-a-link", b".gitattributes"),
        ("gitignore-as-a-link", b".gitignore"),
        ("mailmap-as-a-link", b".mailmap"),
    ):
        link = blob(f"../{name}".encode())
        hostile = "it may point out of the working tree; git only reports it, and follows none"
        yield _of(name, hostile, link, called=called, mode=LINK, ours=None, c_git=Verdict.ACCEPTED)

    name = "link-out-of-the-tree"
    link = blob(f"../../../{name}".encode())
    yield _of(
        *(name, "what a build writes through it, it writes outside", link),
        called=b"out",
        mode=LINK,
        ours=None,
        c_git=Verdict.ACCEPTED,
    )


def _attributes() -> Iterator[HostilePush]:
    for name, hostile, size in (
        ("gitattributes-of-a-long-line", "its length overflows (CVE-2022-23521)", 3000),
        ("gitattributes-of-9-mib-in-a-line", "the same, streamed", _LARGE),
    ):
        file = blob(f"# {name}\n".encode() + b"a" * size + b" text\n")
        yield _of(name, hostile, file, called=b".gitattributes")
