"""How far one container's output is told, and what has come since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from enclave.log_position import Mark, Place, nanoseconds, time_of
from worker.attendant.log_reading import LogReading, Told
from worker.attendant.whole_lines import BEGUN_SECONDS
from worker.runtime import LABEL_INDEX, LABEL_SERVICE, Container
from worker.runtime.container_log import Entry

AT_ONCE = 200
"""Entries of one container in one answer: of more, the answer is streamed."""

_LINE_BYTES = 500  # of memory, beside its text
_LATE_NANOSECONDS = 10**8  # an entry may come so much behind a later one of the other stream


class Containers(Protocol):
    """What is needed of a runtime (``Runtime.containers``, ``DockerEngine.log``)."""

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """Return every container, running or not, that carries all these labels."""
        ...

    def log(
        self, container: Container, *, since: str = "", last: int | None = None
    ) -> AbstractContextManager[Iterator[Entry] | None]:
        """Lend the entries of its log from a time on; of these, the last so many; None if gone."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a service's container number ``index``. ``time`` is that of its last part."""

    time: str
    service: str
    index: int
    text: str


class FollowedContainer:
    """One container, told up to ``place``.

    Nothing is kept here of what was read and not told: it is read again. So who was cut off and
    comes again with the place is told the same as who stayed.
    """

    def __init__(self, container: Container, place: Place) -> None:
        self.container = container
        self.place = place
        self._begun = _earlier(place.newest.time, BEGUN_SECONDS * 10**9)  # perhaps, by then
        self._late = _LATE_NANOSECONDS
        self._over = False

    def begin(self, runtime: Containers, lines: int) -> None:
        """Take all but about the last so many lines for told."""
        with runtime.log(self.container, last=max(lines, 1)) as entries:
            first = next(entries or iter(()), None)
        if first is None:
            return
        self.place = Place(Mark(first.time), Mark(first.time))
        self._begun, self._late = "", 0
        if not lines:
            for told in self.flood(runtime):
                self.place = told.place

    def news(self, runtime: Containers, *, entries: int, size: int) -> list[Told] | None:
        """Return the lines that have come; None if they are more than so many ``entries`` or bytes
        (``size``) at once: then ``flood`` tells them."""
        reading, held, found = LogReading(self.place), 0, []
        with runtime.log(self.container, since=self._since(), last=entries) as answered:
            for told in reading.told(answered or (), ended=not self.container.running):
                held += len(told.text) + _LINE_BYTES
                if held > size:
                    return None
                found.append(told)
        if reading.count >= entries and reading.first >= (self._begun or self.place.newest.time):
            return None
        self._read(reading, there=answered is not None)
        return found

    def flood(self, runtime: Containers) -> Iterator[Told]:
        """Yield the lines that have come as the Engine gives them, as slowly as they are taken."""
        reading = LogReading(self.place)
        with runtime.log(self.container, since=self._since()) as answered:
            yield from reading.told(answered or (), ended=not self.container.running)
        self._read(reading, there=answered is not None)

    def tell(self, told: Told) -> Line:
        """Return the line as people know it, which is told by that."""
        self.place = told.place
        return self.says(told.time, told.text)

    def says(self, time: str, text: str) -> Line:
        """Return a line of this container."""
        labels = self.container.labels
        return Line(time, labels[LABEL_SERVICE], int(labels[LABEL_INDEX]), text)

    def settle(self) -> None:
        """Call it when all that was read is told."""
        self.place = replace(self.place, over=self._over)

    def _since(self) -> str:
        """Return from when on the log is to be read, to find all that is not told."""
        late = _earlier(self.place.newest.time, self._late)
        return min(late, self._begun) if self._begun else late

    def _read(self, reading: LogReading, *, there: bool) -> None:
        """Remember what a whole reading has shown."""
        self._begun = reading.begun
        self._late = _LATE_NANOSECONDS if reading.moved else 0
        self._over = there and not self.container.running


def _earlier(time: str, by: int) -> str:
    """Return the time so many nanoseconds before; of no time, none."""
    return time_of(nanoseconds(time) - by) if time else ""
