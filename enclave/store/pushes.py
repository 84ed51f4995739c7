"""Refs and pushes in Redis: what is stored, what is reserved, and the one transaction of a push."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from enclave.activity import LOCAL, Actor
from enclave.codec import decode
from enclave.errors import PushRefused, StoreRefused
from enclave.operation import OperationRequest, RefUpdate
from enclave.pushed_config import PushedConfig
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.database import Database, app_keys, unavailable_when_lost
from enclave.store.operations import Operations, ref_records
from enclave.store.wakeups import Wakeups

_OUTCOME_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Reservation:
    """A branch is held for an operation until it ends (SPEC 2.7)."""

    operation_id: int
    commit: str


@dataclass(frozen=True, slots=True)
class RefsView:
    """What a push is judged against: one consistent reading of an app's refs."""

    refs: dict[str, str]
    reservations: dict[str, str]
    """ref -> JSON, kept as it stands in Redis: the transaction compares it letter by letter."""

    def reserved(self, ref: str) -> list[Reservation]:
        """Return who holds ``ref``, in the order of the queue."""
        return [Reservation(*pair) for pair in json.loads(self.reservations.get(ref, "[]"))]


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What a push may do once the hooks have passed it.

    ``immediate`` refs move now; ``operation`` (if any) reserves its own, which move at its end.
    ``push_id`` names this attempt: asking again with it tells what became of the first.
    """

    push_id: str
    app_id: int
    atomic: bool
    immediate: tuple[RefUpdate, ...]
    operation: OperationRequest | None = None
    deploy_ref: str = ""
    seen: str = ""
    actor: Actor = LOCAL


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """A verdict a ref (``ok``, ``stale``, ``reserved N``, ``conflict REF``, ``gone``).

    ``judge_again``: the deploy branch's reservations changed since the hooks looked; nothing held.
    """

    verdicts: dict[str, str] = field(default_factory=dict)
    operation_id: int | None = None
    judge_again: bool = False


class Pushes:
    """Refs live in Redis, so that they commit together with what they set off (DESIGN 3.5)."""

    def __init__(
        self,
        database: Database,
        operations: Operations,
        wakeups: Wakeups,
        activities: Activities,
    ) -> None:
        self._database, self._wakeups, self._activities = database, wakeups, activities
        self._redis = database.redis
        self._operations = operations

    def view(self, app_id: int) -> RefsView:
        """Read refs and reservations at one moment."""
        match self._database.run("view", app_keys(app_id), []):
            case [list(refs), list(reservations)]:
                return RefsView(_pairs(refs), _pairs(reservations))
        raise AssertionError("the script returns two lists")

    def refs(self, app_id: int) -> dict[str, str]:
        """Return every stored ref: full name -> 40-digit id."""
        with unavailable_when_lost():
            refs: dict[str, str] = self._redis.hgetall(keys.refs(app_id))
        return refs

    def config(self, app_id: int, ref: str) -> PushedConfig | None:
        """Return the pushed config stored for a ref, None for an unknown ref."""
        with unavailable_when_lost():
            text = self._redis.hget(keys.ref_configs(app_id), ref)
        return decode(PushedConfig, text) if text else None

    def accept(self, push: PushRequest) -> PushOutcome:
        """Commit a push: refs, configs, the operation and its wake-up, or nothing (invariant 1).

        Raises ``StoreUnavailable`` when no answer could be had: then nobody knows whether it held;
        and ``PushRefused`` when the store takes nothing new, and took nothing of this.
        """
        try:
            return self._accept(push)
        except StoreRefused as error:
            answer = self._known(push.push_id)  # of a first try whose answer was lost
            if answer is None:
                raise PushRefused(f"{error}: nothing was stored, push again later") from error
            return _outcome(answer)

    def _accept(self, push: PushRequest) -> PushOutcome:
        operation_id = 0
        reserved: tuple[RefUpdate, ...] = ()
        fields: list[str] = []
        words: Sequence[str | bytes | int] = ()
        if push.operation is not None:
            operation_id = self._database.next_id("operation")
            reserved = push.operation.reserved
            fields = self._operations.fields(push.operation)
            words = self._wakeups.words(push.app_id)
        payload = {
            "atomic": push.atomic,
            "immediate": ref_records(push.immediate),
            "reserved": ref_records(reserved),
            "deploy_ref": push.deploy_ref,
            "seen": push.seen,
            "fields": fields,
            "expiry": _OUTCOME_SECONDS,
            "activity": self._activities.entry(push.actor, "push", app_id=push.app_id),
        }
        answer = self._database.run(
            "accept_push",
            [*app_keys(push.app_id), keys.push(push.push_id), keys.operation(operation_id)],
            [push.app_id, json.dumps(payload), operation_id, *words],
        )
        return _outcome(str(answer))

    def _known(self, push_id: str) -> str | None:
        with unavailable_when_lost():
            return self._redis.get(keys.push(push_id))


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _outcome(answer: str) -> PushOutcome:
    outcome = json.loads(answer)
    if outcome.get("again"):
        return PushOutcome(judge_again=True)
    verdicts = outcome["verdicts"] or {}  # cjson writes an empty table as {} or []
    # The script's own word, not ours: asked again, the operation is the first time's.
    deploys = outcome["operation"]
    return PushOutcome(dict(verdicts), int(deploys) if deploys else None)
