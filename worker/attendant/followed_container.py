"""How far one container's output is known, and what has come since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from worker.attendant.whole_lines import WholeLines
from worker.plain_text import last_drawn, plain_text
from worker.runtime import LABEL_INDEX, LABEL_SERVICE, Container
from worker.runtime.container_log import Entry, Mark

LEFT_OUT = "[more was printed here than the Docker Engine has kept: it is left out]"
AT_ONCE = 200
"""Entries of one container in one answer, of 16 KiB at most: of more, the answer is streamed."""


class Containers(Protocol):
    """What is needed of a runtime (``Runtime.containers``, ``DockerEngine.log``)."""

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """Return every container, running or not, that carries all these labels."""
        ...

    def log(
        self, container: Container, *, since: str = "", last: int | None = None
    ) -> AbstractContextManager[Iterator[Entry]]:
        """Lend the entries of its log from a time on; of these, the last so many."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line of a service's container number ``index``. ``time`` is that of its last part."""

    time: str
    service: str
    index: int
    text: str


class FollowedContainer:
    """One container, known up to ``after`` (a time; empty: nothing is known)."""

    def __init__(self, container: Container, *, after: str) -> None:
        self._container = container
        self._mark = Mark(after)
        self._after = after
        self._lines = WholeLines()

    def last(self, runtime: Containers, lines: int) -> list[Line]:
        """Return about so many of the last lines; all before them count as known."""
        with runtime.log(self._container, last=max(lines, 1)) as entries:
            found = list(self._told(entries))
        return found if lines else []

    def news(self, runtime: Containers) -> list[Line] | None:
        """Return the lines that have come; None if they are many: then ``flood`` tells them."""
        with runtime.log(self._container, since=self._mark.time, last=AT_ONCE) as answered:
            entries = list(answered)
        if len(entries) >= AT_ONCE and entries[0].time > self._mark.time:
            return None
        return list(self._told(entries))

    def flood(self, runtime: Containers) -> Iterator[Line]:
        """Yield the lines that have come as the Engine gives them, as slowly as they are taken."""
        with runtime.log(self._container, since=self._mark.time) as entries:
            yield from self._told(entries)

    def _told(self, entries: Iterable[Entry]) -> Iterator[Line]:
        known = self._mark
        for entry in entries:
            if entry.time < known.time or entry.time == self._after:
                continue
            if entry.time == known.time and known.count:
                known = Mark(known.time, known.count - 1)
                continue
            if self._mark.count and known == self._mark:  # the entry at the mark would come first
                yield self._line(entry.time, LEFT_OUT)
            known = Mark()
            self._mark = self._mark.moved(entry)
            if (line := self._lines.add(entry)) is not None:
                yield self._line(entry.time, plain_text(last_drawn(line)))

    def _line(self, time: str, text: str) -> Line:
        labels = self._container.labels
        return Line(time, labels[LABEL_SERVICE], int(labels[LABEL_INDEX]), text)
