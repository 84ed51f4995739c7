"""Packs that are cut off, lie about themselves, or are none."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from testbed.hostile.packs import entry_header, pack, whole
from testbed.hostile.push import History, HostilePush, Verdict, creating
from testbed.hostile.raw_objects import Kind

_EARLY_END = "early EOF|no pack came"


def kinds() -> Iterator[HostilePush]:
    """Yield them all."""
    yield from _cut_off()
    yield from _lying_headers()
    yield from _lying_entries()
    yield from _ends()


def _cut_off() -> Iterator[HostilePush]:
    for name, hostile, size in (
        ("pack-none", "commands that want a pack, and none", 0),
        ("pack-cut-in-its-name", "the stream ends in the word PACK", 3),
        ("pack-cut-in-its-header", "the stream ends in the number of objects", 10),
        ("pack-cut-behind-its-header", "the stream ends before the first object", 12),
        ("pack-cut-in-an-object", "the stream ends in a compressed object", 40),
        ("pack-cut-before-its-sum", "the sum that ends a pack is missing", -20),
        ("pack-cut-in-its-sum", "the last byte of the sum is missing", -1),
    ):
        history = History.of(name)
        yield creating(name, hostile, history.tip.id, history.pack[:size], ours=_EARLY_END)


def _lying_headers() -> Iterator[HostilePush]:
    for name, hostile, version, count, ours in (
        ("pack-version-4", "a version nobody has defined", 4, 3, "version 4"),
        ("pack-version-0", "a version nobody has defined", 0, 3, "version 0"),
        ("pack-count-too-few", "one object more than announced", 2, 2, "SHA1 mismatch|corrupt"),
        ("pack-count-too-many", "one object less than announced", 2, 4, "."),
        ("pack-count-of-none", "no object announced, three sent", 2, 0, "."),
        (
            *("pack-count-of-a-table-of-80-gb", "the reader allocates by the count"),
            *(2, 0x7FFFFFFF, "a pack of 2147483647 objects"),
        ),
        (
            *("pack-count-below-zero", "a reader with signed counts is confused"),
            *(2, 0xFFFFFFFF, "a pack of 4294967295 objects"),
        ),
    ):
        history = History.of(name)
        packed = pack(*history.objects, version=version, count=count)
        yield creating(name, hostile, history.tip.id, packed, ours=ours)


def _lying_entries() -> Iterator[HostilePush]:
    name = "entry-of-kind-0"
    history = History.of(name)
    first = whole(history.tip, kind=Kind.NOTHING)
    packed = pack(first, *history.objects[1:])
    yield creating(name, "object kind 0 is invalid", history.tip.id, packed, ours="type 0")

    name = "entry-of-kind-5"
    history = History.of(name)
    first = whole(history.tip, kind=Kind.RESERVED)
    packed = pack(first, *history.objects[1:])
    yield creating(name, "object kind 5 is reserved", history.tip.id, packed, ours="type 5")

    for name, hostile, size in (
        ("entry-size-too-small", "inflates to more than its header says", 5),
        ("entry-size-too-large", "inflates to less than its header says", 500),
        ("entry-size-of-a-terabyte", "the reader allocates by the size", 1 << 40),
        ("entry-size-of-8-exbibytes", "the size is below zero in a signed reader", 1 << 63),
    ):
        history = History.of(name)
        packed = pack(whole(history.tip, size=size), *history.objects[1:])
        yield creating(name, hostile, history.tip.id, packed, ours=".")

    name = "entry-size-that-never-ends"
    history = History.of(name)
    endless = b"\x9f" + b"\xff" * 40 + b"\x01" + zlib.compress(history.tip.content)
    packed = pack(endless, *history.objects[1:])
    yield creating(name, "a size of 287 bits", history.tip.id, packed, ours=".")

    name = "entry-of-broken-zlib"
    history = History.of(name)
    broken = entry_header(Kind.COMMIT, 100) + b"\x78\x9c" + b"\xff" * 60
    packed = pack(broken, *history.objects[1:])
    yield creating(name, "the stream is no deflate", history.tip.id, packed, ours="inflate")

    name = "entry-with-a-wrong-check-sum"
    history = History.of(name)
    entry = whole(history.tip)
    packed = pack(entry[:-1] + bytes([entry[-1] ^ 1]), *history.objects[1:])
    yield creating(name, "the Adler-32 is wrong", history.tip.id, packed, ours="inflate")

    name = "entry-that-needs-a-dictionary"
    history = History.of(name)
    made = zlib.compressobj(zdict=history.tip.content)
    body = made.compress(history.tip.content) + made.flush()
    packed = pack(entry_header(Kind.COMMIT, len(history.tip.content)) + body)
    # git 2.39 stops with "BUG: zlib.c: total_in mismatch", which is no complaint to pass on.
    ours = "inflate|could not index"
    yield creating(name, "zlib asks for a preset one", history.tip.id, packed, ours=ours)


def _ends() -> Iterator[HostilePush]:
    name = "pack-sum-wrong"
    history = History.of(name)
    packed = history.pack[:-1] + bytes([history.pack[-1] ^ 1])
    yield creating(name, "not what was summed", history.tip.id, packed, ours="corrupt|mismatch")

    name = "pack-with-bytes-before-its-sum"
    history = History.of(name)
    packed = pack(*history.objects, tail=b"\0" * 64)
    yield creating(name, "summed, but no object", history.tip.id, packed, ours="corrupt|mismatch")

    name = "pack-with-a-request-behind-it"
    history = History.of(name)
    yield creating(
        *(name, "what follows a pack must not be read as a second request"),
        *(history.tip.id, history.pack + b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ours=None,
        c_git=Verdict.CHANCE,
        because="git's index-pack hands the rest on to a pipe that receive-pack may have closed",
    )

    name = "pack-with-an-object-twice"
    history = History.of(name)
    packed = pack(*history.objects, history.file, history.file)
    yield creating(name, "indexes find one of them", history.tip.id, packed, ours="twice")

    name = "pack-empty"
    yield creating(name, "its tip is nowhere", "1" * 40, pack(), ours="missing object")

    name = "pack-of-something-else"
    history = History.of(name)
    yield creating(name, "its tip is nowhere", "2" * 40, history.pack, ours="missing object")

    for name, hostile, sent in (
        ("no-pack-but-text", "text for a pack", b"GET / HTTP/1.1\r\n\r\n"),
        ("no-pack-but-packets", "packets for a pack", b"0000" * 10),
        ("no-pack-but-zeros", "zeros for a pack", bytes(5000)),
        ("no-pack-but-a-bundle", "a bundle for a pack", b"# v2 git bundle\n\n"),
    ):
        history = History.of(name)
        yield creating(name, hostile, history.tip.id, sent, ours="no pack came")
