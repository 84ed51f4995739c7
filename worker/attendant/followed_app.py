"""What all containers of an app print, new ones included, for as long as somebody looks.

Nothing here waits, and no more than a little is held: who reads slowly is behind, and what the
Engine has thrown away meanwhile is told as left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import repeat

from enclave.log_position import Position, time_of
from worker.attendant.followed_container import AT_ONCE, Containers, FollowedContainer, Line
from worker.attendant.log_reading import Told
from worker.runtime import LABEL_INDEX, LABEL_SERVICE, Container

HELD_BYTES = 1 << 20
"""One look holds no more lines than this: what is more is told container by container."""

GONE = "[the container was removed: what it printed last may be left out]"
SOME_GONE = (
    "A container was removed while nobody followed it: what it printed last may be left out."
)


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be said that is of no container's output."""

    text: str


class FollowedApp:
    """The containers of an app's services that carry ``labels``.

    ``last``: so many lines of each container that is there at the first look; those that come later
    are told from their beginning. With ``after``, what is behind that position, of all.
    """

    def __init__(
        self,
        runtime: Containers,
        labels: Mapping[str, str],
        *,
        last: int,
        after: Position | None = None,
    ) -> None:
        self._runtime = runtime
        self._labels = labels
        self._last = last
        self._after = after
        self._floor = after.floor if after else ""
        self.comes_again = after is not None
        self._followed: dict[str, FollowedContainer] = {}
        self._to_begin: list[FollowedContainer] | None = None
        self._some_gone = False

    def begin(self) -> None:
        """Find where to begin, unless it is known. Raises ``OperationFailed``: ask again."""
        if self._to_begin is None:
            present = self._present()
            if self._after is not None:
                self._some_gone = self._after.missing(each.id for each in present)
            self._join(present, self._after or Position())
            self._to_begin = [] if self._after else list(self._followed.values())
        while self._to_begin:
            self._to_begin[-1].begin(self._runtime, self._last)
            self._to_begin.pop()

    def look(self) -> Iterator[Line | Note]:
        """Yield what was printed since the last look: by time, what is a flood behind the rest.

        Raises ``OperationFailed`` when the Engine does not tell; the next look goes on from there.
        """
        self.begin()
        if self._some_gone:
            self._some_gone = False
            yield Note(SOME_GONE)
        present = self._present()
        yield from self._leave({each.id for each in present})
        self._join(present, Position(floor=self._floor))
        yield from self._news()

    def position(self) -> Position:
        """Return how far all is told that has been yielded so far."""
        places = {known: container.place for known, container in self._followed.items()}
        return Position(places, self._floor)

    def _news(self) -> Iterator[Line]:
        share = HELD_BYTES // max(len(self._followed), 1)
        entries = AT_ONCE + self._last
        news, floods = [], []
        for container in self._followed.values():
            found = container.news(self._runtime, entries=entries, size=share)
            if found is None:
                floods.append(container)
            else:
                news.append(zip(repeat(container), found, strict=False))
        for container, told in merge(*news, key=_time):
            yield container.tell(told)
        for container in floods:
            for told in container.flood(self._runtime):
                yield container.tell(told)
        for container in self._followed.values():
            container.settle()
        self._last = 0

    def _present(self) -> list[Container]:
        return [
            each
            for each in self._runtime.containers(self._labels)
            if LABEL_SERVICE in each.labels and LABEL_INDEX in each.labels
        ]

    def _leave(self, present: set[str]) -> Iterator[Line]:
        """Forget who is gone. What was not over may have said more."""
        for gone in [each for each in self._followed if each not in present]:
            container = self._followed.pop(gone)
            if not container.place.over:
                yield container.says(_now(), GONE)

    def _join(self, present: list[Container], known: Position) -> None:
        for each in present:
            if each.id in self._followed:
                self._followed[each.id].container = each
            else:
                self._followed[each.id] = FollowedContainer(each, known.place(each.id))


def _time(news: tuple[FollowedContainer, Told]) -> str:
    return news[1].time


def _now() -> str:
    return time_of(int(datetime.now(UTC).timestamp()) * 10**9)
