"""Lines out of the pieces of a container's two streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from enclave.log_position import Mark, nanoseconds
from worker.plain_text import last_drawn, plain_text
from worker.runtime.container_log import PART_BYTES, Entry

LONGEST_BYTES = 4 * PART_BYTES
"""What is printed without a line break comes in lines of about this length."""

BEGUN_SECONDS = 5
"""So much later the other stream has gone on, and a line is taken for ended."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What one line says. ``end`` is its stream's mark behind it."""

    stream: int
    printed: bytes
    end: Mark

    def text(self) -> str:
        """Return it as a person may see it, without its end."""
        return plain_text(last_drawn(self.printed.decode(errors="replace").removesuffix("\n")))


class WholeLines:
    """Puts together what the Engine cut. The same entries give the same lines, always."""

    def __init__(self) -> None:
        self._begun: dict[int, Whole] = {}

    def add(self, entry: Entry, end: Mark) -> Iterator[Whole]:
        """Yield the lines that are known to be whole by this entry. ``end``: behind the entry."""
        if self._begun:
            yield from self._ended_by(entry)
        begun = self._begun.pop(entry.stream, None)
        printed = begun.printed + entry.printed if begun else entry.printed
        whole = Whole(entry.stream, printed, end)
        if (
            printed.endswith(b"\n")
            or len(entry.printed) < PART_BYTES  # its process ended in the midst of the line
            or len(printed) >= LONGEST_BYTES
        ):
            yield whole
        else:
            self._begun[entry.stream] = whole

    def rest(self) -> Iterator[Whole]:
        """Yield what has no end and will get none."""
        yield from self._begun.values()
        self._begun.clear()

    @property
    def begun(self) -> str:
        """The time of the oldest line that is still to be ended; empty if there is none."""
        return min((each.end.time for each in self._begun.values()), default="")

    def _ended_by(self, entry: Entry) -> Iterator[Whole]:
        """Yield what the entry shows to have ended: all parts of one line are of one time."""
        for begun in list(self._begun.values()):
            same = begun.stream == entry.stream
            if (same and begun.end.time != entry.time) or (not same and _long_after(begun, entry)):
                del self._begun[begun.stream]
                yield begun


def _long_after(begun: Whole, entry: Entry) -> bool:
    later = nanoseconds(entry.time) - nanoseconds(begun.end.time)
    return later > BEGUN_SECONDS * 10**9
