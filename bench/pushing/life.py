"""The life of one repository: many small pushes, one commit each, and what they leave behind."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.pushing.client import Client
from bench.pushing.repositories import Load
from bench.pushing.servers import Server, Target, Transport

_AROUND_TENTH = slice(5, 15)
YOUTH = 15
"""How many pushes it takes to know the tenth: the median of the sixth to the fifteenth."""
_QUIET_SECONDS = 3.0
_SETTLE_SECONDS = 120.0
_POLL_SECONDS = 0.2


@dataclass(slots=True)
class Life:
    """One server's side. ``young`` is a second repository, as old as ``old`` once was."""

    server: Server
    over: Transport
    old: Target
    young: Target
    seconds: list[float] = field(default_factory=list)
    young_seconds: list[float] = field(default_factory=list)
    clones: list[float] = field(default_factory=list)
    packs_left: int = 0
    packs_at_rest: int = 0

    @property
    def tenth(self) -> float:
        """The median push around the tenth, in seconds."""
        return median(self.seconds[_AROUND_TENTH])

    @property
    def last(self) -> float:
        """The median of the last ten."""
        return median(self.seconds[-10:])

    @property
    def young_tenth(self) -> float:
        """The young repository's tenth, measured in turns with the old one's last."""
        return median(self.young_seconds[_AROUND_TENTH])

    @property
    def clone(self) -> float:
        """The median clone of the old repository."""
        return median(self.clones)

    def push(self, client: Client, load: Load, number: int) -> None:
        """Push commit ``number`` of the load, the first is 0.

        In the last of the old one's pushes the young one has its first: the two share whatever
        else the machine does then.
        """
        commit = load.commits[number]
        self.seconds.append(client.push(load, commit, self.server, self.old, self.over))
        age = number - (len(load.commits) - YOUTH)
        if age >= 0:
            first = load.commits[age]
            seconds = client.push(load, first, self.server, self.young, self.over)
            self.young_seconds.append(seconds)

    def settle(self) -> None:
        """Wait until the server's background work has been still; count the packs before and after.

        Raises ``RuntimeError`` when it never is.
        """
        known, since = _packs(self.old.repository), time.monotonic()
        self.packs_left = len(known)
        deadline = since + _SETTLE_SECONDS
        while time.monotonic() - since < _QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.server.name} did not come to rest")
            time.sleep(_POLL_SECONDS)
            if (now := _packs(self.old.repository)) != known:
                known, since = now, time.monotonic()
        self.packs_at_rest = len(known)


def _packs(repository: Path) -> set[str]:
    """Return the names of the packs."""
    return {path.name for path in (repository / "objects" / "pack").glob("*.pack")}
