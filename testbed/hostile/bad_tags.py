"""Annotated tags that point nowhere, or at something else than they say."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.hostile.packs import pack
from testbed.hostile.push import History, HostilePush, Verdict, creating
from testbed.hostile.raw_objects import WHO, Kind, RawObject, tag


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    for name, hostile, kind, part in (
        ("tag-of-a-file-called-a-commit", "a commit, it says", b"commit", "file"),
        ("tag-of-a-commit-called-a-file", "a blob, it says", b"blob", "tip"),
        ("tag-of-a-tree-called-a-tag", "a tag, it says", b"tag", "folder"),
        ("tag-of-an-unknown-kind", "no kind git has", b"branch", "tip"),
        ("tag-of-no-kind", "no kind at all", b"", "tip"),
    ):
        history = History.of(name)
        target: RawObject = getattr(history, part)
        yield _of(name, hostile, tag(target.id, kind), history)
    yield from _bad_lines()
    yield from _tolerated()
    yield _missing_target()
    yield _chain()


def _of(
    name: str,
    hostile: str,
    tip: RawObject,
    history: History,
    *,
    ours: str | None = ".",
    c_git: Verdict = Verdict.REFUSED,
) -> HostilePush:
    """Return the push of a tag, beside a history it may point at."""
    packed = pack(tip, *history.objects)
    ref = b"refs/tags/" + name.encode()
    return creating(name, hostile, tip.id, packed, ref=ref, ours=ours, c_git=c_git)


def _bad_lines() -> Iterator[HostilePush]:
    tagger, named, kind = b"tagger " + WHO, b"tag v1", b"type commit"
    for name, hostile, lines in (
        ("tag-without-object", "it points at nothing", (kind, named, tagger)),
        ("tag-without-type", "it does not say at what", (b"object %s", named, tagger)),
        ("tag-without-name", "it has no name", (b"object %s", kind, tagger)),
        ("tag-of-a-short-id", "an id of 39 digits", (b"object %.39s", kind, named, tagger)),
        ("tag-of-nobody", "its tagger has no address", (b"object %s", kind, named, b"tagger E")),
    ):
        history = History.of(name)
        content = b"\n".join([*lines, b"", b"x\n"])
        if b"%" in content:
            content = content % history.tip.id.encode()
        yield _of(name, hostile, RawObject(Kind.TAG, content), history)


def _tolerated() -> Iterator[HostilePush]:
    """Old gits made these: git-fsck(1) only mentions them, and clones take them."""
    name = "tag-without-tagger"
    history = History.of(name)
    lines = (b"object " + history.tip.id.encode(), b"type commit", b"tag v1", b"", b"x\n")
    old = RawObject(Kind.TAG, b"\n".join(lines))
    yield _of(name, "nobody made it", old, history, ours=None, c_git=Verdict.ACCEPTED)

    name = "tag-of-an-evil-name"
    history = History.of(name)
    evil = tag(history.tip.id, b"commit", name=b"../../HEAD")
    yield _of(name, "its own name is no ref's", evil, history, ours=None, c_git=Verdict.ACCEPTED)


def _missing_target() -> HostilePush:
    name = "tag-of-a-missing-commit"
    history = History.of(name)
    tip = tag(history.tip.id, b"commit")
    ref = b"refs/tags/" + name.encode()
    return creating(name, "a hole", tip.id, pack(tip), ref=ref, ours=".")


def _chain() -> HostilePush:
    """Peeling it is a loop in git, and has to be one in everything that peels."""
    name = "tag-of-a-tag-of-a-tag-2000-times"
    history = History.of(name)
    chain = [tag(history.tip.id, b"commit")]
    for _ in range(2000):
        chain.append(tag(chain[-1].id, b"tag"))
    ref = b"refs/tags/" + name.encode()
    packed = pack(*chain, *history.objects)
    hostile = "who peels it has to follow 2000 links"
    tip = chain[-1].id
    return creating(name, hostile, tip, packed, ref=ref, ours=None, c_git=Verdict.ACCEPTED)
