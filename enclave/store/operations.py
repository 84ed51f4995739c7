"""Operations in Redis: the queue of every app, its lease, and the two ends of an operation.

One worker at a time holds an app's lease and runs the head of its queue. Every lease has a number,
the fence; each write of a worker names it, and one that is not the newest writes nothing
(DESIGN 4, invariants 3 to 5).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from enclave.app import AppSecrets, AppState, AppStatus
from enclave.changes import Changes
from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.errors import LeaseLost, NotFound
from enclave.operation import Operation, OperationRequest, OperationStatus, RefUpdate
from enclave.people import User
from enclave.release import Release
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.database import BLOCK_SECONDS, Database, app_keys, unavailable_when_lost
from enclave.store.wakeups import wakeup_words

_CONTROL_SECONDS = 60


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


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ends. The app's new state and secrets are written only by a success.

    ``message`` is one line; with its level it becomes the log's last, in the same transaction.
    """

    status: OperationStatus
    message: str
    cancelled: bool = False
    state: AppState | None = None
    secrets: AppSecrets | None = None
    release: Release | None = None

    @property
    def line(self) -> str:
        """The last line of the operation's log (SPEC 7); none for an empty message."""
        if not self.message:
            return ""
        level = "INFO" if self.status is OperationStatus.SUCCEEDED else "ERROR"
        return f"{level}: {self.message}"


class Operations:
    """Queue, lease, end: each transition is one script."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._redis = database.redis
        self._sealer = sealer

    def fields(self, request: OperationRequest, changes: Changes | None = None) -> list[str]:
        """Return the hash of a new operation, flat: names and values in turn."""
        fields = [
            *("request", encode(request)),
            *("refs", json.dumps(ref_records(request.reserved))),
            *("status", OperationStatus.QUEUED.value),
            *("created_at", now_iso()),
        ]
        if changes is not None:
            fields += ["sealed", self._sealer.seal(encode(changes))]
        return fields

    def submit(self, request: OperationRequest, changes: Changes) -> Operation:
        """Queue an operation that reserves no ref; returns it. Raises ``StoreUnavailable``."""
        operation_id = self._database.next_id("operation")
        self._database.run(
            "submit",
            [*app_keys(request.app_id), keys.operation(operation_id)],
            [
                request.app_id,
                operation_id,
                json.dumps(self.fields(request, changes)),
                *wakeup_words(self._database, request.app_id),
            ],
        )
        return self.operation(operation_id)

    def operation(self, operation_id: int) -> Operation:
        """Return an operation; raises ``NotFound``."""
        with unavailable_when_lost():
            fields = self._redis.hgetall(keys.operation(operation_id))
        if not fields:
            raise NotFound("there is no such operation")
        return _operation(operation_id, fields)

    def count(self, app_id: int) -> int:
        """Return how many operations the app ever had."""
        with unavailable_when_lost():
            return self._redis.zcard(keys.app_operations(app_id))

    def operations(self, app_id: int, *, newest: int, skip: int = 0) -> list[Operation]:
        """Return ``newest`` of the app's operations, newest first, without the first ``skip``."""
        with unavailable_when_lost():
            ids = self._redis.zrevrange(keys.app_operations(app_id), skip, skip + newest - 1)
        return [self.operation(int(operation_id)) for operation_id in ids]

    def changes(self, operation_id: int) -> Changes:
        """Return what a queued or running operation changes; nothing once it has ended."""
        with unavailable_when_lost():
            sealed = self._redis.hget(keys.operation(operation_id), "sealed")
        return decode(Changes, self._sealer.open(sealed)) if sealed else Changes()

    def unfinished(self, app_id: int) -> list[Operation]:
        """Return the running operation and those that wait, in order."""
        with unavailable_when_lost():
            ids = self._redis.lrange(keys.queue(app_id), 0, -1)
        return [self.operation(int(operation_id)) for operation_id in ids]

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
            return self._redis.hget(keys.operation(operation_id), "point") or ""

    def finish(self, lease: Lease, ending: Ending) -> None:
        """Record the outcome, move the reserved refs, free the lease, wake the next (DESIGN 4).

        A success also writes the app's state, secrets and release. Raises ``LeaseLost``.
        """
        app: list[str] = []
        if ending.status is OperationStatus.SUCCEEDED and ending.state and ending.secrets:
            app = [
                *("state", encode(ending.state)),
                *("secrets", self._sealer.seal(encode(ending.secrets))),
                *("status", AppStatus.PROVISIONED.value),
            ]
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
        }
        held = self._database.run(
            "finish",
            [
                *app_keys(lease.app_id),
                keys.operation(lease.operation_id),
                keys.operation_log(lease.operation_id),
            ],
            [
                lease.app_id,
                lease.operation_id,
                json.dumps(payload),
                *wakeup_words(self._database, lease.app_id),
            ],
        )
        require_lease(held)

    def cancel(self, operation: Operation, *, by: User) -> str:
        """Cancel it; returns ``cancelled`` (it waited), ``cancelling`` (it runs) or ``ended``."""
        app_id, operation_id = operation.request.app_id, operation.id
        answer = self._database.run(
            "cancel",
            [
                *app_keys(app_id),
                keys.operation(operation_id),
                keys.operation_log(operation_id),
                keys.operation_control(operation_id),
            ],
            [app_id, operation_id, now_iso(), f"Cancelled by {by.email}."],
        )
        return str(answer)

    def wait_for_control(self, operation_id: int, *, seconds: float) -> bool:
        """Block until someone cancels the running operation, or ``seconds`` (at most five) pass."""
        control, timeout = keys.operation_control(operation_id), min(seconds, BLOCK_SECONDS)
        with unavailable_when_lost():
            self._redis.blpop([control], timeout=timeout)
            # Asked, not taken from the word: a word may be popped and its answer lost.
            return self._redis.hget(keys.operation(operation_id), "cancelled") == "1"

    def stop_waiting_for_control(self, operation_id: int) -> None:
        """Have ``wait_for_control`` return at once, for a worker that has ended the operation."""
        control = keys.operation_control(operation_id)
        with unavailable_when_lost():
            self._redis.rpush(control, "end")
            self._redis.expire(control, _CONTROL_SECONDS)

    def overdue(self) -> list[int]:
        """Return the apps whose lease ran out or whose wake-up nobody answered."""
        with unavailable_when_lost():
            seconds, microseconds = self._redis.time()
            now = seconds * 1000 + microseconds // 1000
            return [int(app) for app in self._redis.zrangebyscore(keys.DUE, 0, now)]

    def wake(self, app_id: int) -> None:
        """Wake a worker for the app once more; one too many does no harm."""
        self._database.run(
            "wake", app_keys(app_id), [app_id, *wakeup_words(self._database, app_id)]
        )


def ref_records(updates: Sequence[RefUpdate]) -> list[dict[str, str]]:
    """Return ref updates as the scripts read them; a config that is none is left out."""
    records = []
    for update in updates:
        record = {"ref": update.ref, "old": update.old, "new": update.new}
        if update.config is not None:
            record["config"] = encode(update.config)
        records.append(record)
    return records


def _operation(operation_id: int, fields: dict[str, str]) -> Operation:
    return Operation(
        id=operation_id,
        request=decode(OperationRequest, fields["request"]),
        status=OperationStatus(fields["status"]),
        created_at=fields["created_at"],
        started_at=fields.get("started_at"),
        ended_at=fields.get("ended_at"),
        cancelled=fields.get("cancelled") == "1",
        message=fields.get("message", ""),
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def require_lease(held: object) -> None:
    """Raise ``LeaseLost`` when a fenced script answered that the fence is an old one."""
    if held != 1:
        raise LeaseLost("another worker has taken over this app")
