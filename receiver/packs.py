"""The packs of a repository on disk: how new ones come in, how old ones go, durably.

A pack counts from the moment its index is there; git looks for nothing else (gitformat-pack(5)).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from enclave.files import sync
from receiver.owned_directory import shared

PACK = ".pack"
_INDEX = ".idx"
_COMPANIONS = (".rev", ".bitmap")
_COUNT_AT = 4 + 4 + 255 * 4  # the last of the 256 sums of a version 2 index
_SUMS_END = _COUNT_AT + 4
_ID_BYTES = 20
_TRAILER_BYTES = 20
_INFLATES = 1040  # times; deflate's best is 1032 (RFC 1951: 258 bytes in two bits)
_DELTAS = (6, 7)


def packs(store: Path) -> list[Path]:
    """Return the packs of an object store that count, by name."""
    return sorted(pack for pack in (store / "pack").glob(f"*{PACK}") if counts(pack))


def counts(file: Path) -> bool:
    """Whether the pack that a file belongs to is there with its index."""
    return index_of(file).exists() and file.with_suffix(PACK).exists()


def index_of(pack: Path) -> Path:
    """Return where a pack's index is."""
    return pack.with_suffix(_INDEX)


def object_count(pack: Path) -> int:
    """Return how many objects a pack holds, by its index."""
    with index_of(pack).open("rb") as index:
        index.seek(_COUNT_AT)
        return int.from_bytes(index.read(4))


def holds_all(pack: Path, other: Path) -> bool:
    """Whether every object of ``other`` is in ``pack`` too, by their indexes."""
    ours = _ids(pack)
    return all(any(mine == theirs for mine in _up_to(theirs, ours)) for theirs in _ids(other))


def _up_to(last: bytes, ids: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ids (sorted, as in every index) until one is ``last`` or behind it."""
    for each in ids:
        yield each
        if each >= last:
            return


def _ids(pack: Path) -> Iterator[bytes]:
    """Yield the ids of a pack's objects in their order, without reading them all at once."""
    count = object_count(pack)
    with index_of(pack).open("rb") as index:
        index.seek(_SUMS_END)
        for _ in range(count):
            yield index.read(_ID_BYTES)


def larger_than(pack: Path, limit: int) -> int | None:
    """Return the size of an object that is stored whole and has more than ``limit`` bytes, if any.

    Only entries that take enough room to hold so much are looked at. Objects stored as deltas are
    the indexing child's to refuse: it unpacks those in memory, under a limit.
    """
    size = pack.stat().st_size
    if size * _INFLATES < limit:
        return None
    with pack.open("rb") as file:
        for start, end in pairwise([*_offsets(pack), size - _TRAILER_BYTES]):
            if (end - start) * _INFLATES >= limit:
                file.seek(start)
                kind, unpacked = _entry(file.read(16))
                if kind not in _DELTAS and unpacked > limit:
                    return unpacked
    return None


def _offsets(pack: Path) -> list[int]:
    """Return where the entries of a pack begin, in order (version 2 index, gitformat-pack(5))."""
    count = object_count(pack)
    index = index_of(pack).read_bytes()
    small = _numbers("I", index[_SUMS_END + count * (_ID_BYTES + 4) :][: count * 4])
    large = _numbers("Q", index[_SUMS_END + count * (_ID_BYTES + 8) : -2 * _ID_BYTES])
    return sorted(large[at & 0x7FFFFFFF] if at >> 31 else at for at in small)


def _numbers(kind: str, data: bytes) -> array[int]:
    numbers = array(kind, data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _entry(head: bytes) -> tuple[int, int]:
    """Return type and unpacked size from the first bytes of an entry."""
    kind, size, shift = head[0] >> 4 & 7, head[0] & 15, 4
    for at in range(1, len(head)):
        if not head[at - 1] & 128:
            break
        size |= (head[at] & 127) << shift
        shift += 7
    return kind, size


def move_in(folder: Path, store: Path) -> None:
    """Move the packs in ``folder`` into the store: whole or not at all, and on the disk after that.

    git fsynced the files. The ``.pack`` goes before its ``.idx``, and then the folder is synced.
    """
    with shared(store / "pack"):  # and no sweep between the two (receiver/leftovers.py)
        for suffix in (PACK, *_COMPANIONS, _INDEX):
            for file in folder.glob(f"*{suffix}"):
                file.rename(store / "pack" / file.name)
    sync(store / "pack")


def remove(pack: Path) -> None:
    """Remove a pack whose objects are all in others: its index first, so that it counts no more."""
    for suffix in (_INDEX, *_COMPANIONS, PACK):
        pack.with_suffix(suffix).unlink(missing_ok=True)
