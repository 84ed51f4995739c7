"""One case over one transport: both servers take the same pushes, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from bench.pushing.client import Client, discard
from bench.pushing.memory import GitChildren, Growth
from bench.pushing.repositories import Load
from bench.pushing.servers import Server, Target, Transport


@dataclass(frozen=True, slots=True)
class Case:
    """What is pushed. ``incremental``: one commit after the other into the same repository."""

    title: str
    make: Callable[[], Load]
    rounds: int
    incremental: bool = False


@dataclass(slots=True)
class Figures:
    """One server's: seconds of each push; bytes that it grew by; bytes of its largest git."""

    seconds: list[float] = field(default_factory=list)
    growth: int = 0
    git_peak: int = 0

    @property
    def median(self) -> float:
        """The median push, in seconds."""
        return median(self.seconds)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    case: Case
    objects: int
    over: Transport
    ours: Figures
    reference: Figures

    @property
    def ratio(self) -> float:
        """Our time by the reference's."""
        return self.ours.median / self.reference.median


class Comparison:
    """Two servers and the client of both. ``small`` is a load that costs next to nothing."""

    def __init__(self, client: Client, ours: Server, reference: Server, *, small: Load) -> None:
        self._client, self._ours, self._reference, self._small = client, ours, reference, small
        self._numbers = count(1)

    def compare(self, case: Case, load: Load, over: Transport) -> Row:
        """Push once without the clock, watching the children's memory, then by the clock.

        The servers take turns in going first. Ours is fresh but for two small pushes, so that its
        growth is the case's own, and not hidden in memory that an earlier case left.
        """
        self._ours.restart()
        for server in (self._ours, self._reference) * 2:
            self._push_once(self._small, over, server)
        ours, reference = Figures(), Figures()
        sides = [
            (self._ours, self._pushes(case, load, self._ours), ours),
            (self._reference, self._pushes(case, load, self._reference), reference),
        ]
        for server, pushes, figures in sides:
            with GitChildren(server.pids) as children:
                self._push(next(pushes), load, over, server, figures)
            figures.git_peak = children.peak
            figures.seconds.clear()
        for _ in range(case.rounds):
            sides.reverse()
            for server, pushes, figures in sides:
                self._push(next(pushes), load, over, server, figures)
        return Row(case, load.objects, over, ours, reference)

    def _push(
        self,
        push: tuple[Target, str, bool],
        load: Load,
        over: Transport,
        server: Server,
        figures: Figures,
    ) -> None:
        target, commit, is_last = push
        with Growth(server.pids[0]) as growth:
            figures.seconds.append(self._client.push(load, commit, server, target, over))
        figures.growth = max(figures.growth, growth.bytes)
        if is_last:
            discard(target)

    def _push_once(self, load: Load, over: Transport, server: Server) -> None:
        target = self._new_target(server)
        self._client.push(load, load.commits[0], server, target, over)
        discard(target)

    def _pushes(self, case: Case, load: Load, server: Server) -> Iterator[tuple[Target, str, bool]]:
        """Say where each push goes, with which commit, and whether it is the target's last."""
        if case.incremental:
            target = self._new_target(server)
            for commit in load.commits:
                yield target, commit, False
        while True:
            yield self._new_target(server), load.commits[-1], True

    def _new_target(self, server: Server) -> Target:
        return server.new_target(f"target-{next(self._numbers)}")
