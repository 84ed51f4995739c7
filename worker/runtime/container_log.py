"""What the Engine has kept of a container's output, entry by entry, each with its time.

The Engine's own ``follow`` is not used: of a container that prints faster than its log files turn
(Docker 20.10, json-file), a follower repeats entries and then waits on a file that is gone, for
ever. A reading that ends tells all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a line with its end, or up to 16 KiB of a longer one, whose last part has it.

    ``time`` is RFC 3339 with nine digits behind the point, in UTC, so times sort as text.
    ``stream`` is 1 or 2 (standard error).
    """

    time: str
    stream: int
    printed: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a log is known: to ``time``, with ``count`` entries of that very time."""

    time: str = ""
    count: int = 0

    def moved(self, entry: Entry) -> Mark:
        """Return the mark behind the next entry."""
        return Mark(entry.time, self.count + 1 if entry.time == self.time else 1)


def entries(frames: Iterable[tuple[int, bytes]]) -> Iterator[Entry]:
    """Yield entries from frames of a log that was asked for with its times."""
    for stream, held in frames:
        time, _, printed = held.partition(b" ")
        yield Entry(time.decode("ascii", "replace"), stream, printed)


def since(time: str) -> str:
    """Return an entry's time as the Engine's ``since`` wants it: seconds.nanoseconds."""
    seconds, _, digits = time.removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return f"{whole}.{digits or '0':0<9}"
