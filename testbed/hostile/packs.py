"""Packs and deltas written by hand, wrong ones too (gitformat-pack(5))."""

from __future__ import annotations

import hashlib
import zlib

from testbed.hostile.raw_objects import Kind, RawObject

DELTA_COPY_BYTES = 0xFFFFFF
"""The most that one instruction of a delta copies."""


def pack(
    *entries: RawObject | bytes, count: int | None = None, version: int = 2, tail: bytes = b""
) -> bytes:
    """Return a pack of these entries, with the sum at its end; ``count`` and ``version`` may lie.

    ``tail`` comes after the last entry, and is summed too.
    """
    written = [entry if isinstance(entry, bytes) else whole(entry) for entry in entries]
    stated = len(entries) if count is None else count
    data = b"PACK" + version.to_bytes(4) + stated.to_bytes(4) + b"".join(written) + tail
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def whole(made: RawObject, *, kind: int | None = None, size: int | None = None) -> bytes:
    """Return the entry of an object that is no delta; its ``kind`` and ``size`` may lie."""
    stated = len(made.content) if size is None else size
    return entry_header(made.kind if kind is None else kind, stated) + zlib.compress(made.content)


def ref_delta(base: str, delta: bytes) -> bytes:
    """Return the entry of a delta upon the object ``base``."""
    return entry_header(Kind.REF_DELTA, len(delta)) + bytes.fromhex(base) + zlib.compress(delta)


def ofs_delta(distance: int, delta: bytes) -> bytes:
    """Return the entry of a delta upon the entry that begins ``distance`` bytes before it."""
    offset = [distance & 127]
    while distance := distance >> 7:
        distance -= 1
        offset.append(distance & 127 | 128)
    return entry_header(Kind.OFS_DELTA, len(delta)) + bytes(offset[::-1]) + zlib.compress(delta)


def entry_header(kind: int, size: int) -> bytes:
    """Return what an entry begins with: its kind and its size, inflated."""
    head = [kind << 4 | size & 15]
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head)


def delta(source: int, target: int, *instructions: bytes) -> bytes:
    """Return a delta that says how long its base and its result are; both may lie."""
    return _varint(source) + _varint(target) + b"".join(instructions)


def copy(offset: int, size: int) -> bytes:
    """Return the instruction that copies from the base: 7 bytes of arguments, none left out."""
    return b"\xff" + offset.to_bytes(4, "little") + size.to_bytes(3, "little")


def insert(data: bytes) -> bytes:
    """Return the instruction that adds up to 127 new bytes."""
    return bytes([len(data)]) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
