"""Operations in Redis: asked for, queued, looked at, cancelled. How they run: ``leases.py``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from enclave.activity import LOCAL, Actor
from enclave.changes import Changes
from enclave.clock import now_iso, seconds_since
from enclave.codec import decode, encode
from enclave.errors import IdempotencyKeyReused, NotFound
from enclave.idempotency import KEPT_SECONDS, IdempotencyKey
from enclave.operation import (
    Operation,
    OperationRequest,
    OperationStatus,
    OperationType,
    RefUpdate,
)
from enclave.people import User
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.activity import Activities, Entry
from enclave.store.database import (
    BLOCK_SECONDS,
    Database,
    Word,
    app_keys,
    unavailable_when_lost,
)
from enclave.store.deliveries import Announcement, Deliveries
from enclave.store.wakeups import Wakeups

_CONTROL_SECONDS = 60
_WEBHOOK_WORDS = 9  # their place in cancel.lua's ARGV


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """A queued operation has ``position`` others before it, of which ``ahead`` is the last."""

    position: int
    ahead: Operation | None

    @property
    def words(self) -> str:
        """``queued behind operation 41 (deploy by EMAIL, running for 12s); position 1``."""
        ahead = self.ahead
        if ahead is None:
            return "queued until a worker is free"
        state = "waiting"
        if ahead.status is OperationStatus.RUNNING and ahead.started_at:
            state = f"running for {seconds_since(ahead.started_at):.0f}s"
        return f"queued behind {ahead.describe()[:-1]}, {state}); position {self.position}"


class Operations:
    """The queue of every app, and what waits in it."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        wakeups: Wakeups,
        deliveries: Deliveries,
        activities: Activities,
        *,
        logs_kept: int,
    ) -> None:
        self._database, self._activities = database, activities
        self._redis = database.redis
        self._sealer = sealer
        self._wakeups = wakeups
        self._deliveries = deliveries
        self._logs_kept = logs_kept

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

    def submit(
        self,
        request: OperationRequest,
        changes: Changes,
        once: IdempotencyKey | None = None,
        *,
        actor: Actor = LOCAL,
    ) -> Operation:
        """Queue an operation that reserves no ref; returns it. Raises ``StoreUnavailable``.

        ``once``: of all requests with this key, the first makes an operation and the others get it.
        Raises ``IdempotencyKeyReused``.
        """
        return self._take_in(request, self.fields(request, changes), once, actor, how="queue")

    def made_with(self, once: IdempotencyKey) -> int | None:
        """Return the operation that was made with this key, None for a new one.

        Raises ``IdempotencyKeyReused``.
        """
        with unavailable_when_lost():
            known = self._redis.get(_idempotency(once))
        return _made(once, known) if known else None

    def record(
        self,
        request: OperationRequest,
        changes: Changes,
        once: IdempotencyKey | None = None,
        *,
        actor: Actor = LOCAL,
    ) -> Operation:
        """Store an operation that is in no queue: it has succeeded, and begins when visited.

        One that only looks at containers is in no list, and forgotten after a day. ``once`` and
        what is raised: as ``submit``.
        """
        ended = ["status", OperationStatus.SUCCEEDED.value, "ended_at", now_iso()]
        fields = [*self.fields(request, changes), *ended]  # of a field given twice, the last counts
        how = "forget" if request.type is OperationType.LOGS else "record"
        return self._take_in(request, fields, once, actor, how=how)

    def _take_in(
        self,
        request: OperationRequest,
        fields: list[str],
        once: IdempotencyKey | None,
        actor: Actor,
        *,
        how: str,
    ) -> Operation:
        operation_id = self._database.next_id("operation")
        entry = self._entry(actor, request.type, operation_id, request.app_id)
        asked = json.dumps({"operation": operation_id, "asked": once.asked if once else ""})
        answer = self._database.run(
            "submit",
            [
                *app_keys(request.app_id),
                keys.operation(operation_id),
                *([_idempotency(once)] if once else []),
            ],
            [
                *(request.app_id, operation_id, json.dumps(fields), asked, KEPT_SECONDS),
                *(how, json.dumps(entry)),
                *self._wakeups.words(request.app_id),
            ],
        )
        return self.operation(_made(once, str(answer)) if once else operation_id)

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

    def last_deploy(self, app_id: int) -> Operation | None:
        """Return the app's newest deploy, by push or by command, however long ago it was asked."""
        with unavailable_when_lost():
            operation_id = self._redis.hget(keys.app(app_id), "last_deploy")
        return self.operation(int(operation_id)) if operation_id else None

    def changes(self, operation_id: int) -> Changes:
        """Return what an operation changes while it is queued, runs or is visited; else nothing."""
        with unavailable_when_lost():
            sealed = self._redis.hget(keys.operation(operation_id), "sealed")
        return self._changes(sealed)

    def unfinished(self, app_id: int) -> list[Operation]:
        """Return the running operation and those that wait, in order."""
        return [operation for operation, _ in self._unfinished(app_id)]

    def wishes(self, app_id: int) -> list[tuple[OperationRequest, Changes]]:
        """Return what the operations that have not ended ask for, in order (SPEC 3.8)."""
        return [
            (operation.request, self._changes(sealed))
            for operation, sealed in self._unfinished(app_id)
        ]

    def place(self, operation: Operation) -> QueuePlace | None:
        """Return where a queued operation stands, None when it is in no queue any more."""
        queue = keys.queue(operation.request.app_id)
        with unavailable_when_lost():
            position = self._redis.lpos(queue, str(operation.id))
            if position is None:
                return None
            ahead = self._redis.lrange(queue, position - 1, position - 1) if position else []
        return QueuePlace(position, self.operation(int(ahead[0])) if ahead else None)

    def _unfinished(self, app_id: int) -> list[tuple[Operation, str | None]]:
        with unavailable_when_lost():
            ids = self._redis.lrange(keys.queue(app_id), 0, -1)
            with self._redis.pipeline(transaction=False) as pipe:
                for operation_id in ids:
                    pipe.hgetall(keys.operation(int(operation_id)))
                records: list[dict[str, str]] = pipe.execute() if ids else []
        return [
            (_operation(int(operation_id), fields), fields.get("sealed"))
            for operation_id, fields in zip(ids, records, strict=True)
        ]

    def _entry(self, actor: Actor, what: str, operation_id: int, app_id: int) -> Entry:
        return self._activities.entry(actor, f"operation.{what}", operation_id, app_id=app_id)

    def _changes(self, sealed: str | None) -> Changes:
        return decode(Changes, self._sealer.open(sealed)) if sealed else Changes()

    def cancel(self, operation: Operation, *, by: User, actor: Actor = LOCAL) -> str:
        """Cancel it; returns ``cancelled`` (it waited), ``cancelling`` (it runs) or ``ended``."""
        app_id, operation_id = operation.request.app_id, operation.id
        entry = self._entry(actor, "cancel", operation_id, app_id)
        script_keys = [
            *app_keys(app_id),
            keys.operation(operation_id),
            keys.operation_log(operation_id),
            keys.operation_control(operation_id),
        ]
        arguments: list[Word] = [
            *(app_id, operation_id, now_iso(), f"Cancelled by {by.email}."),
            *(keys.operation_prefix(), self._logs_kept, json.dumps(entry)),
        ]

        def end(webhooks: Announcement) -> object:
            words: list[Word] = [json.dumps(webhooks.table), *webhooks.words]
            return self._database.run("cancel", script_keys, [*arguments, *words])

        answer = self._deliveries.announced(app_id, _WEBHOOK_WORDS, end)
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
        self._database.run("stop_listening", [control], [_CONTROL_SECONDS])


def _idempotency(once: IdempotencyKey) -> str:
    return keys.idempotency(once.user_id, sha256(once.text.encode()).hexdigest())


def _made(once: IdempotencyKey, known: str) -> int:
    record = json.loads(known)
    if record["asked"] != once.asked:
        raise IdempotencyKeyReused(
            f"The Idempotency-Key {once.text} belongs to another request, which made operation "
            f"{record['operation']}: take a new key for each thing that you ask."
        )
    return int(record["operation"])


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
