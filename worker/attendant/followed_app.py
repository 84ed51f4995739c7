"""What all containers of an app print, new ones included, for as long as somebody looks.

Nothing here waits or keeps output: who reads slowly is behind, and what the Engine has thrown away
meanwhile is told as left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge

from worker.attendant.followed_container import Containers, FollowedContainer, Line
from worker.runtime import LABEL_INDEX, LABEL_SERVICE


class FollowedApp:
    """The containers of an app's services that carry ``labels``.

    ``last``: so many lines of each container that is there at the first look; those that come later
    are told from their beginning. With ``after`` (a time), only what is later, of all.
    """

    def __init__(
        self, runtime: Containers, labels: Mapping[str, str], *, last: int, after: str = ""
    ) -> None:
        self._runtime = runtime
        self._labels = labels
        self._last = None if after else last
        self._after = after
        self._followed: dict[str, FollowedContainer] = {}

    def look(self) -> Iterator[Line]:
        """Yield what was printed since the last look: by time, what is a flood behind the rest.

        Raises ``OperationFailed`` when the Engine does not tell; the next look goes on from there.
        """
        self._join_and_leave()
        news, floods = [], []
        for container in self._followed.values():
            if self._last is not None:
                news.append(container.last(self._runtime, self._last))
            elif (lines := container.news(self._runtime)) is None:
                floods.append(container)
            else:
                news.append(lines)
        self._last = None
        yield from merge(*news)
        for container in floods:
            yield from container.flood(self._runtime)

    def _join_and_leave(self) -> None:
        present = [
            each
            for each in self._runtime.containers(self._labels)
            if LABEL_SERVICE in each.labels and LABEL_INDEX in each.labels
        ]
        self._followed = {
            each.id: self._followed.get(each.id) or FollowedContainer(each, after=self._after)
            for each in present
        }
