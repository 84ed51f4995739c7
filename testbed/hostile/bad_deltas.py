"""Deltas that reach for what is not theirs, and small ones that grow."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.hostile.packs import (
    DELTA_COPY_BYTES,
    copy,
    delta,
    insert,
    ofs_delta,
    pack,
    ref_delta,
    whole,
)
from testbed.hostile.push import ZERO, History, HostilePush, Verdict, branch, creating
from testbed.hostile.raw_objects import FILE, blob, commit, tree

_DEPTH = 5000
_GIBIBYTE = 1 << 30


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    yield from _without_a_base()
    yield from _that_misread_their_base()
    yield _deep()
    yield _bomb()


def _without_a_base() -> Iterator[HostilePush]:
    for name, hostile, entry, ours in (
        (
            *("delta-of-a-missing-base", "its base is nowhere"),
            *(ref_delta("3" * 40, delta(9, 1, copy(0, 1))), "unresolved delta"),
        ),
        (
            *("delta-of-itself", "it begins where its base begins"),
            *(ofs_delta(0, delta(9, 1, copy(0, 1))), "out of bound"),
        ),
        (
            *("delta-of-the-header", "its base lies in the pack's header"),
            *(ofs_delta(4, delta(9, 1, copy(0, 1))), "."),
        ),
        (
            *("delta-of-before-the-pack", "its base lies before the pack"),
            *(ofs_delta(1 << 20, delta(9, 1, copy(0, 1))), "out of bound"),
        ),
        (
            *("delta-of-an-endless-offset", "its base's offset has 200 bits"),
            *(ofs_delta(1 << 200, delta(9, 1, copy(0, 1))), "offset|out of bound"),
        ),
    ):
        history = History.of(name)
        packed = pack(entry, *history.objects)
        yield creating(name, hostile, history.tip.id, packed, ours=ours)

    name = "delta-of-the-middle-of-an-entry"
    history = History.of(name)
    entry = ofs_delta(5, delta(9, 1, copy(0, 1)))
    packed = pack(*history.objects, entry)
    yield creating(name, "no object begins there", history.tip.id, packed, ours="unresolved delta")

    name = "delta-cycle"
    history = History.of(name)
    first, second = blob(b"first").id, blob(b"second").id
    circle = (
        ref_delta(second, delta(6, 5, insert(b"first"))),
        ref_delta(first, delta(5, 6, insert(b"second"))),
    )
    packed = pack(*history.objects, *circle)
    yield creating(
        name, "each is the other's base", history.tip.id, packed, ours="unresolved delta"
    )


def _that_misread_their_base() -> Iterator[HostilePush]:
    base = b"a base of 24 bytes, say\n"
    for name, hostile, wrong in (
        (
            *("delta-beyond-its-base", "it copies what lies behind its base in memory"),
            delta(len(base), 4000, copy(0, 4000)),
        ),
        (
            *("delta-from-beyond-its-base", "it copies from 4 GiB behind its base"),
            delta(len(base), 8, copy(0xFFFFFFF0, 8)),
        ),
        ("delta-of-another-size", "it states another base", delta(9, 4, copy(0, 4))),
        ("delta-of-too-much", "it makes more than it states", delta(len(base), 2, copy(0, 9))),
        ("delta-of-too-little", "it makes less than it states", delta(len(base), 9, copy(0, 2))),
        ("delta-reserved", "instruction 0 is reserved", delta(len(base), 4, copy(0, 4), b"\0")),
        ("delta-cut", "it ends in an instruction", delta(len(base), 9, copy(0, 4), b"\x09cut")),
        ("delta-empty", "it ends before its sizes", b"\xff"),
    ):
        history = History.of(name)
        file = blob(base)
        packed = pack(*history.objects, file, ref_delta(file.id, wrong))
        yield creating(name, hostile, history.tip.id, packed, ours="delta")


def _deep() -> HostilePush:
    """git itself makes chains of 50; a reader that recurses runs out of stack."""
    name = "delta-chain-of-5000"
    command = b"web: exec serve "
    file = blob(command)
    chain = [whole(file)]
    for number in range(_DEPTH):
        ending = b"%d\n" % number
        instructions = copy(0, len(command)), insert(ending)
        change = delta(len(file.content), len(command + ending), *instructions)
        chain.append(ofs_delta(len(chain[-1]), change))
        file = blob(command + ending)
    folder = tree((FILE, b"Procfile", file.id))
    tip = commit(folder.id)
    packed = pack(*chain, tip, folder)
    hostile = "who reads its Procfile has to follow 5000 links"
    return creating(name, hostile, tip.id, packed, ours=None, c_git=Verdict.ACCEPTED)


def _bomb() -> HostilePush:
    """A base of 16 MiB of zeros, 16 KB in the pack, that one delta copies 65 times."""
    name = "delta-bomb"
    history = History.of(name)
    base = blob(bytes(DELTA_COPY_BYTES))
    copies = _GIBIBYTE // DELTA_COPY_BYTES + 1
    size = copies * DELTA_COPY_BYTES
    bomb = delta(len(base.content), size, *[copy(0, DELTA_COPY_BYTES)] * copies)
    packed = pack(*history.objects, base, ref_delta(base.id, bomb))
    hostile = f"{len(packed)} bytes that become a gibibyte"
    return HostilePush(
        *(name, hostile, ((ZERO, history.tip.id, branch(name)),), packed),
        ours="memory|limit|at most",
        c_git=Verdict.ACCEPTED,
        because="git unpacks whatever the machine's memory takes",
        costly="3 GiB of memory and five seconds",
    )
