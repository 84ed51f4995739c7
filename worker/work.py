"""What the steps of one operation share: whose it is, and with what it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from enclave.app import App, AppSecrets
from enclave.changes import Changes
from enclave.operation import Operation
from enclave.release import Attempt
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from worker.live import Live
from worker.log import OperationLog
from worker.plan import Placement
from worker.routing import Routing
from worker.runtime import Container, Runtime
from worker.safe_points import SafePoints

BEGUN = "before-commands"
"""The point from which on an operation is not simply run again after a crash (DESIGN 4)."""


@dataclass(frozen=True, slots=True)
class Work:
    """One operation by the holder of the app's lease.

    ``begin`` passes the point from which on the operation is not simply run again after a crash;
    ``remove_own`` removes what was made under this lease, ``remove_commands`` only the containers
    of commands.
    """

    store: Store
    runtime: Runtime
    routing: Routing
    settings: Settings
    lease: Lease
    points: SafePoints
    log: OperationLog
    placement: Placement
    operation: Operation
    changes: Changes
    secrets: AppSecrets = field(repr=False)
    live: Live = field(repr=False)
    begin: Callable[[], None]
    remove_own: Callable[[], None]
    remove_commands: Callable[[], None]

    @property
    def app(self) -> App:
        """The app as it was when the operation started (SPEC 3.8)."""
        return self.placement.app

    @property
    def attempt(self) -> Attempt:
        """What this operation's containers are named by."""
        number = (self.app.state.release or 0) + 1
        return Attempt(number, self.operation.id, self.lease.fence)


@dataclass(slots=True)
class Old:
    """Containers that a release has replaced: those that are stopped, and those that may serve
    requests still."""

    stopped: list[Container] = field(default_factory=list)
    serving: list[Container] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.stopped or self.serving)

    def stop(self, containers: list[Container]) -> None:
        """Note that these are stopped."""
        self.serving = [each for each in self.serving if each not in containers]
        self.stopped += containers


class Story(Protocol):
    """What one type of operation does, until its success can be committed."""

    old: Old
    """Containers to be retired once the success is recorded."""

    def run(self) -> Ending:
        """Do it; returns the successful ending, which the caller commits.

        Raises ``OperationFailed`` or ``InvalidInput`` with what went wrong; the caller undoes it.
        """
        ...
