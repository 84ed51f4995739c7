"""What the Engine has kept of a container's output, entry by entry, each with its time.

The Engine's own ``follow`` is not used: of a container that prints faster than its log files turn
(Docker 20.10, json-file), a follower repeats entries and then waits on a file that is gone, for
ever. A reading that ends tells all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from enclave.log_position import nanoseconds

PART_BYTES = 16 << 10
"""Of a longer line each entry but the last has so many; all are of one time (tried with 20.10)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a line with its end, or a part of a longer one, whose last part has it.

    What a process printed last without an end is an entry without one. ``time`` is RFC 3339 with
    nine digits behind the point, in UTC, so times sort as text. ``stream`` is 1 or 2 (standard
    error); of each the times only grow, but an entry may come behind a somewhat later one of the
    other.
    """

    time: str
    stream: int
    printed: bytes


def entries(frames: Iterable[tuple[int, bytes]]) -> Iterator[Entry]:
    """Yield entries from frames of a log that was asked for with its times."""
    for stream, held in frames:
        time, _, printed = held.partition(b" ")
        yield Entry(time.decode("ascii", "replace"), stream, printed)


def since(time: str) -> str:
    """Return an entry's time as the Engine's ``since`` wants it: seconds.nanoseconds."""
    seconds, rest = divmod(nanoseconds(time), 10**9)
    return f"{seconds}.{rest:09}"
