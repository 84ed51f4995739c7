"""Commands that are wrong themselves, with honest packs: names, values, and what they point at."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.hostile.packs import pack
from testbed.hostile.push import ZERO, History, HostilePush, Verdict, branch, creating
from testbed.hostile.raw_objects import tag
from testbed.hostile.seed import REF, ROOT, TIP

_FUNNY = "funny refname"
_NOT_KEPT = "only branches .* and tags .* are kept here"
_ELSEWHERE = "only refs/heads and refs/tags mean something here; the rest would be stored unseen"
_LIKE_A_COMMIT = "the name would be taken for a commit"
_AMBIGUOUS = "git only warns of names that shadow a commit; a commitish has to mean one thing here"
_STALE = "stale info"

_FUNNY_NAMES = {
    "head": (b"HEAD", "the symbolic ref itself"),
    "config": (b"config", "a file of the repository"),
    "without-a-name": (b"refs/heads/", "the folder of all branches"),
    "with-an-empty-level": (b"refs/heads//a", "two names of one file"),
    "above": (b"refs/heads/../../config", "a file of the repository"),
    "dot-dot": (b"refs/heads/a..b", "a range of commits"),
    "with-a-space": (b"refs/heads/a b", "two words to every script"),
    "lock": (b"refs/heads/a.lock", "the lock of another ref"),
    "below-a-lock": (b"refs/heads/a.lock/b", "the lock of another ref"),
    "hidden": (b"refs/heads/.a", "a hidden file"),
    "with-a-dot-at-its-end": (b"refs/heads/a.", "Windows drops it"),
    "with-a-control-character": (b"refs/heads/a\x1b[2J", "it speaks to a terminal"),
    "with-delete": (b"refs/heads/a\x7f", "it speaks to a terminal"),
    "with-a-line-break": (b"refs/heads/a\nok refs/heads/b", "a second line in the report"),
    "reflog": (b"refs/heads/a@{1}", "an entry of a reflog"),
    "tilde": (b"refs/heads/a~1", "a commit's parent"),
    "caret": (b"refs/heads/a^", "a commit's parent"),
    "colon": (b"refs/heads/a:b", "a refspec"),
    "star": (b"refs/heads/*", "a pattern"),
    "question": (b"refs/heads/a?", "a pattern"),
    "bracket": (b"refs/heads/[a", "a pattern"),
    "backslash": (b"refs/heads/a\\b", "a folder to Windows"),
}

_NAMES_OURS_REFUSES = {
    "notes": (b"refs/notes/commits", "shown with each commit", _NOT_KEPT, _ELSEWHERE),
    "replace": (b"refs/replace/" + TIP.id.encode(), "another commit's", _NOT_KEPT, _ELSEWHERE),
    "remotes": (b"refs/remotes/origin/x", "somebody else's", _NOT_KEPT, _ELSEWHERE),
    "branch-head": (b"refs/heads/HEAD", "git checkout HEAD", _LIKE_A_COMMIT, _AMBIGUOUS),
    "branch-like-an-id": (branch("6" * 40), "a commit's id", _LIKE_A_COMMIT, _AMBIGUOUS),
    "tag-like-an-id": (b"refs/tags/" + b"7" * 40, "a commit's id", _LIKE_A_COMMIT, _AMBIGUOUS),
    "of-300-bytes-in-levels": (
        *(branch("/".join(["level"] * 49)), "no file system of a clone need hold it"),
        *("longer than 255 bytes", "a ref's name is a key, a line of a report and a log here"),
    ),
    "not-utf-8": (
        *(b"refs/heads/\xff\xfe", "bytes that are no text"),
        *("not UTF-8", "names are shown in JSON and in logs, which are text"),
    ),
}


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    for ending, (ref, hostile) in _FUNNY_NAMES.items():
        yield _named(f"ref-{ending}", ref, hostile, ours=_FUNNY)
    for ending, (ref, hostile, ours, because) in _NAMES_OURS_REFUSES.items():
        yield _named(f"ref-{ending}", ref, hostile, ours=ours, because=because)
    for ending, ref in (("of-one-level", b"refs/x"), ("namespace", b"refs/heads")):
        yield _named(f"ref-{ending}", ref, "the folder of all refs of a kind", ours=_NOT_KEPT)
    long = branch("a" * 300)
    yield _named("ref-of-300-bytes", long, "no file has such a name", ours="longer than 255 bytes")
    yield _named("ref-below-another", REF + b"/b", "a file and a folder", ours="conflicts with")
    yield _below_another_of_the_push()
    yield _twice()
    yield from _values()
    yield from _deletions()
    yield from _tips()


def _named(name: str, ref: bytes, hostile: str, *, ours: str, because: str = "") -> HostilePush:
    """Return the push of an honest commit to a ref of this name; ``because``: C git takes it."""
    history = History.of(name)
    c_git = Verdict.ACCEPTED if because else Verdict.REFUSED
    tip, packed = history.tip.id, history.pack
    return creating(name, hostile, tip, packed, ref=ref, ours=ours, c_git=c_git, because=because)


def _below_another_of_the_push() -> HostilePush:
    name = "ref-below-another-of-the-push"
    history = History.of(name)
    above, below = branch(name), branch(name) + b"/b"
    commands = ((ZERO, history.tip.id, above), (ZERO, history.tip.id, below))
    return HostilePush(
        *(name, "a file and a folder, at once", commands, history.pack),
        ours="is in this push too",
        harmless=frozenset({above}),
    )


def _twice() -> HostilePush:
    name = "ref-twice"
    history = History.of(name)
    commands = (
        (ZERO, history.tip.id, branch(name)),
        (ZERO, TIP.id, branch(name)),
    )
    hostile = "whoever reads the report cannot tell which was stored"
    return HostilePush(name, hostile, commands, history.pack, ours="the same ref twice")


def _values() -> Iterator[HostilePush]:
    for name, hostile, old, ref in (
        ("old-value-of-another", "the ref has moved since", "8" * 40, REF),
        ("old-value-of-nothing", "it creates what exists", ZERO, REF),
        ("old-value-of-what-is-not", "it moves what does not exist", TIP.id, branch("not-there")),
    ):
        history = History.of(name)
        commands = ((old, history.tip.id, ref),)
        yield HostilePush(name, hostile, commands, history.pack, ours=_STALE)


def _deletions() -> Iterator[HostilePush]:
    unknown, gone = "8" * 40, branch("not-there")
    for name, hostile, old, ref, git_checks in (
        ("deletion-of-another-value", "the ref has moved since", ROOT.id, REF, True),
        ("deletion-of-an-unknown-value", "the ref was never there", unknown, REF, False),
        ("deletion-of-what-is-not", "no such ref, and its commit is known", TIP.id, gone, True),
        ("deletion-of-the-unknown", "no such ref, no such commit", unknown, gone, False),
    ):
        yield HostilePush(
            *(name, hostile, ((old, ZERO, ref),), b"", _STALE),
            c_git=Verdict.REFUSED if git_checks else Verdict.ACCEPTED,
            because="" if git_checks else "git deletes unchecked what it takes for corrupt or gone",
        )

    name = "deletion-of-nothing"
    commands = ((ZERO, ZERO, gone),)
    hostile = "from nothing to nothing: it changes nothing, and that is true afterwards"
    yield HostilePush(name, hostile, commands, b"", ours=None, c_git=Verdict.ACCEPTED)

    name = "deletion-of-a-file"
    commands = ((ZERO, ZERO, b"refs/heads/../../config"),)
    yield HostilePush(name, "a file of the repository", commands, b"", ours=_FUNNY)


def _tips() -> Iterator[HostilePush]:
    not_a_commit = "a branch points at a commit"
    name = "branch-of-a-file"
    history = History.of(name)
    yield creating(name, "no commit", history.file.id, history.pack, ours=not_a_commit)

    name = "branch-of-a-folder"
    history = History.of(name)
    yield creating(name, "no commit", history.folder.id, history.pack, ours=not_a_commit)

    name = "branch-of-a-tag"
    history = History.of(name)
    tip = tag(history.tip.id, b"commit")
    packed = pack(tip, *history.objects)
    yield creating(name, "no commit", tip.id, packed, ours=not_a_commit)

    for name, ref in (
        ("branch-of-a-missing-commit", branch("branch-of-a-missing-commit")),
        ("tag-of-a-missing-object", b"refs/tags/tag-of-a-missing-object"),
    ):
        history = History.of(name)
        missing = History.of(f"{name}, not sent").tip.id
        yield creating(
            *(name, "its tip is nowhere", missing, history.pack), ref=ref, ours="missing object"
        )
