"""One reading of a container's log: what is not known yet of it, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from enclave.log_position import Mark, Place
from worker.attendant.whole_lines import WholeLines
from worker.runtime.container_log import Entry

LEFT_OUT = "[more was printed here than the Docker Engine has kept: it is left out]"


@dataclass(frozen=True, slots=True)
class Told:
    """A line, of the ``time`` of its last part, and the place of its container behind it."""

    time: str
    text: str
    place: Place


class LogReading:
    """Reads entries once, from ``place`` on. They may begin before it, and must not after it unless
    the Engine has thrown away what was there: that is told as left out."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.first = ""  # the time of the first entry, known or not
        self.count = 0  # entries
        self.moved = False  # whether anything was told
        self._known = {1: place.out, 2: place.err}
        self._read = dict(self._known)
        self._still_known = {stream: mark.count for stream, mark in self._known.items()}
        self._newest = 1 if place.out >= place.err else 2
        self._lines = WholeLines()

    @property
    def begun(self) -> str:
        """The time from which on the next reading must read again, or empty: see ``WholeLines``."""
        return self._lines.begun

    def told(self, entries: Iterable[Entry], *, ended: bool) -> Iterator[Told]:
        """Yield the lines. ``ended``: no more will be printed."""
        unbroken, newest = False, self._known[self._newest].time
        for entry in entries:
            self.count += 1
            self.first = self.first or entry.time
            if self._knows(entry):
                continue
            if not unbroken and entry.time > newest:
                unbroken = True
                if self._still_known[self._newest]:
                    yield Told(entry.time, LEFT_OUT, self.place)
            end = self._read[entry.stream] = self._read[entry.stream].moved(entry.time)
            for whole in self._lines.add(entry, end):
                yield self._told(whole.stream, whole.end, whole.text())
        if ended:
            for whole in self._lines.rest():
                yield self._told(whole.stream, whole.end, whole.text())

    def _knows(self, entry: Entry) -> bool:
        mark = self._known[entry.stream]
        if entry.time != mark.time:
            return entry.time < mark.time
        if not self._still_known[entry.stream]:
            return False
        self._still_known[entry.stream] -= 1
        return True

    def _told(self, stream: int, end: Mark, text: str) -> Told:
        out, err = (end, self.place.err) if stream == 1 else (self.place.out, end)
        self.place = Place(out, err)
        self.moved = True
        return Told(end.time, text, self.place)
