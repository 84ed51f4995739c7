"""Leases: the right to run one operation of an app, and the ways it ends.

One worker at a time holds an app's lease and runs the head of its queue. Every lease has a number,
the fence; each write of a worker names it, and one that is not the newest writes nothing
(DESIGN 4, invariants 3 to 5). Each transition is one script.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from enclave.app import AppSecrets, AppState, AppStatus
from enclave.clock import now_iso
from enclave.codec import encode
from enclave.endpoint import EndpointStatus
from enclave.errors import LeaseLost, OperationCancelled
from enclave.operation import OperationStatus
from enclave.release import Release
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.database import Database, Word, app_keys, unavailable_when_lost
from enclave.store.deliveries import Announcement, Deliveries
from enclave.store.jobs import END_OF_WORDS
from enclave.store.wakeups import Wakeups

_CANCELLED_FIRST = 2
_WAKEUP_WORDS = 4  # their place in finish.lua's ARGV
TIDYING = 0
"""Stands for an operation's id in a lease that was taken to remove containers."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one operation of an app.

    ``recovers``: its last holder vanished. ``takes`` is how many leases the operation has had.
    """

    app_id: int
    operation_id: int
    fence: str
    recovers: bool
    takes: int = 1

    @property
    def tidies(self) -> bool:
        """Whether no operation waits, and containers may have been left behind."""
        return self.operation_id == TIDYING


@dataclass(frozen=True, slots=True)
class EndpointEnd:
    """What becomes of an endpoint with the success of an operation; ``host`` is its name."""

    id: int
    status: EndpointStatus
    host: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ends. The app's new state and secrets are written only by a success.

    ``message`` is one line; with its level it becomes the log's last, in the same transaction.
    ``untidy``: containers that nobody counts on may be left. ``deprovisions``: the app is gone
    with this success. ``stays_pending``: it was never deployed, and still is not.
    """

    status: OperationStatus
    message: str
    cancelled: bool = False
    state: AppState | None = None
    secrets: AppSecrets | None = None
    release: Release | None = None
    untidy: bool = False
    deprovisions: bool = False
    stays_pending: bool = False
    endpoints: tuple[EndpointEnd, ...] = ()

    @property
    def line(self) -> str:
        """The last line of the operation's log (SPEC 7); none for an empty message."""
        if not self.message:
            return ""
        level = "INFO" if self.status is OperationStatus.SUCCEEDED else "ERROR"
        return f"{level}: {self.message}"


class Leases:
    """Take, renew, and give back in one of three ways: ``finish``, ``hand_back``, ``release``."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        wakeups: Wakeups,
        deliveries: Deliveries,
        *,
        logs_kept: int,
    ) -> None:
        self._database, self._sealer, self._wakeups = database, sealer, wakeups
        self._deliveries, self._logs_kept = deliveries, logs_kept

    def take(self, app_id: int, *, holder: str, seconds: float) -> Lease | None:
        """Take the app's lease for its next operation, which is running from now on.

        None when nothing waits or another worker has the lease. ``holder`` names this attempt, so
        that a lost answer can be asked for again.
        """
        answer = self._database.run(
            "take",
            app_keys(app_id),
            [holder, _milliseconds(seconds), now_iso(), app_id, keys.operation_prefix()],
        )
        match answer:
            case [str(mode), str(operation_id), fence, int(takes)]:
                recovers = mode == "recover"
                return Lease(app_id, int(operation_id), str(fence), recovers, takes)
            case _:
                return None

    def renew(self, lease: Lease, *, seconds: float) -> None:
        """Prolong the lease from now; raises ``LeaseLost``."""
        held = self._database.run(
            "renew", app_keys(lease.app_id), [lease.fence, _milliseconds(seconds), lease.app_id]
        )
        require_lease(held)

    def mark(self, lease: Lease, point: str) -> None:
        """Record that the operation passed ``point``; raises ``LeaseLost``."""
        script_keys = [*app_keys(lease.app_id), keys.operation(lease.operation_id)]
        require_lease(self._database.run("mark", script_keys, [lease.fence, point]))

    def point(self, operation_id: int) -> str:
        """Return the last point the operation passed, empty before the first."""
        with unavailable_when_lost():
            return self._database.redis.hget(keys.operation(operation_id), "point") or ""

    def finish(self, lease: Lease, ending: Ending) -> None:
        """Record the outcome, move the reserved refs, free the lease, wake the next, tell the app's
        webhooks (DESIGN 4).

        A success also writes the app's state, secrets and release: it is the point of no return.
        Raises ``LeaseLost``; and ``OperationCancelled`` if a cancel came before the success, which
        then did not happen, and the lease is still held.
        """
        app: list[str] = []
        if ending.status is OperationStatus.SUCCEEDED and ending.state and ending.secrets:
            app = [
                *("state", encode(ending.state)),
                *("secrets", self._sealer.seal(encode(ending.secrets))),
            ]
            if ending.deprovisions:
                app += ["status", AppStatus.DEPROVISIONED.value]
            elif not ending.stays_pending:
                app += ["status", AppStatus.PROVISIONED.value]
        words = [*self._wakeups.words(lease.app_id), END_OF_WORDS]
        payload = {
            "fence": lease.fence,
            "status": ending.status.value,
            "message": ending.message,
            "line": ending.line,
            "cancelled": "1" if ending.cancelled else "0",
            "ended_at": now_iso(),
            "app": app,
            "number": str(ending.release.number) if ending.release else "",
            "release": encode(ending.release) if ending.release else "",
            "untidy": ending.untidy,
            "prefix": keys.operation_prefix(),
            "logs": self._logs_kept,
            "endpoints": [
                [keys.endpoint(each.id), each.id, each.status.value, each.host]
                for each in ending.endpoints
            ],
            "hosts": keys.ENDPOINT_HOSTS,
            "app_endpoints": keys.app_endpoints(lease.app_id),
            "deprovisions": ending.deprovisions,
            "environment": keys.environment_prefix(),
            "deprovisioned": keys.DEPROVISIONED,
        }
        script_keys = [
            *app_keys(lease.app_id),
            keys.operation(lease.operation_id),
            keys.operation_log(lease.operation_id),
        ]

        def end(webhooks: Announcement) -> object:
            told = json.dumps({**payload, "webhooks": webhooks.table})
            arguments = [lease.app_id, lease.operation_id, told, *words, *webhooks.words]
            return self._database.run("finish", script_keys, arguments)

        held = self._deliveries.announced(lease.app_id, _WAKEUP_WORDS + len(words), end)
        if held == _CANCELLED_FIRST:
            raise OperationCancelled("Cancelled.")
        require_lease(held)

    def hand_back(self, lease: Lease) -> None:
        """Put an operation that has begun nothing back to the head of its queue, and wake a worker.

        Raises ``LeaseLost``.
        """
        script_keys = [*app_keys(lease.app_id), keys.operation(lease.operation_id)]
        arguments: list[Word] = [lease.fence, lease.app_id, *self._wakeups.words(lease.app_id)]
        require_lease(self._database.run("hand_back", script_keys, arguments))

    def release(self, lease: Lease, *, tidy: bool) -> None:
        """Free a lease that was taken to remove containers; ``tidy`` when none is left.

        Otherwise somebody tries again ten seconds later. Raises ``LeaseLost``.
        """
        arguments: list[Word] = [lease.fence, lease.app_id, "1" if tidy else "0"]
        words = self._wakeups.words(lease.app_id)
        require_lease(self._database.run("release", app_keys(lease.app_id), [*arguments, *words]))

    def tidied(self, lease: Lease) -> None:
        """Note that what an ``Ending`` under this lease called untidy is gone."""
        self._database.run("tidied", app_keys(lease.app_id), [lease.app_id, lease.fence])

    def is_busy(self, app_id: int) -> bool:
        """Whether somebody holds the app's lease, or an operation of it waits."""
        redis = self._database.redis
        with unavailable_when_lost():
            return redis.exists(keys.lease(app_id), keys.queue(app_id)) > 0

    def untidy(self, app_id: int) -> None:
        """Have a worker make sure that exactly the app's live release runs."""
        arguments = [app_id, *self._wakeups.words(app_id)]
        self._database.run("untidy", app_keys(app_id), arguments)


def require_lease(held: object) -> None:
    """Raise ``LeaseLost`` when a fenced script answered that the fence is an old one."""
    if held != 1:
        raise LeaseLost("another worker has taken over this app")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
