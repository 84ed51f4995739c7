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

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Case:
    """What is pushed. ``incremental``: one commit after the other into the same repository."""

    title: str
    make: Callable[[], Load]
    rounds: int
    incremental: bool = False


@dataclass(slots=True)
class Figures:
    """One server's: seconds of each push, the server's growth, its largest git. Bytes."""

    seconds: list[float] = field(default_factory=list)
    growth: int = 0
    git_peak: int = 0

    @property
    def median(self) -> float:
        """The median of the pushes."""
        return median(self.seconds)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    title: str
    objects: int
    transport: Transport
    ours: Figures
    reference: Figures

    @property
    def ratio(self) -> float:
        """Our time by the reference's."""
        return self.ours.median / self.reference.median


def compare(
    case: Case, load: Load, over: Transport, client: Client, ours: Server, reference: Server
) -> Row:
    """Push without the clock to see children's memory, then ``rounds`` times against it.

    The servers take turns in going first. Ours is fresh but for two small pushes, so that growth is
    the push's own and not hidden in memory that an earlier one left.
    """
    ours.restart()
    pushes = {server.name: _pushes(case, load, server) for server in (ours, reference)}
    figures = {server.name: Figures() for server in (ours, reference)}
    for number in range(-1, case.rounds):
        turns = (ours, reference) if number % 2 else (reference, ours)
        for server in turns:
            target, commit = next(pushes[server.name])
            mine = figures[server.name]
            with Growth(server.pids[0]) as growth:
                if number < 0:
                    with GitChildren(server.pids) as children:
                        client.push(load, commit, server, target, over)
                    mine.git_peak = children.peak
                else:
                    mine.seconds.append(client.push(load, commit, server, target, over))
            mine.growth = max(mine.growth, growth.bytes)
            if not case.incremental:
                discard(target)
    return Row(case.title, load.objects, over, figures[ours.name], figures[reference.name])


def warm_up(load: Load, over: Transport, client: Client, server: Server) -> None:
    """Push something small, so that first-time costs (imports, host keys) are nobody's figure."""
    for _ in range(2):
        target = server.new_target(_name())
        client.push(load, load.commits[0], server, target, over)
        discard(target)


def _pushes(case: Case, load: Load, server: Server) -> Iterator[tuple[Target, str]]:
    """Say where the next push goes, and with which commit."""
    if case.incremental:
        target = server.new_target(_name())
        for commit in load.commits:
            yield target, commit
    while True:
        yield server.new_target(_name()), load.commits[-1]


def _name() -> str:
    return f"target-{next(_numbers)}"
