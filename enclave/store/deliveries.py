"""What webhooks are to be told, in Redis: nothing accepted is lost, whoever is killed.

A delivery is recorded by the very transaction that ends the operation. An RQ job says "webhook N
has something due"; a courier **takes** one delivery, tries it, and **settles** it. A webhook gets
one at a time, and those with more have their turns in RQ's list, so that a slow receiver keeps
nobody else waiting for long. A job that was lost, or a courier, is made up for when the webhook is
overdue (``receiver/reminders.py``). So each delivery arrives once at least, twice at times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from enclave.clock import iso, now_iso
from enclave.store import keys
from enclave.store.database import Database, Word, unavailable_when_lost
from enclave.store.due import Due
from enclave.store.jobs import END_OF_WORDS, Jobs
from enclave.webhook import Attempt, Delivery, DeliveryStatus, pause_after

WEBHOOKS_QUEUE = "webhooks"
JOB = "courier.job.deliver"

KEPT = 20
"""Ended deliveries of a webhook."""

LEASE_SECONDS = 15.0
"""A courier that is silent for so long is dead: a try takes ten seconds at most."""

_MOST_PENDING = 100
_ATTENDED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Announcement:
    """What ``tell_webhooks`` (``prelude.lua``) needs: its table, and words for ARGV."""

    table: dict[str, object]
    words: list[Word]


@dataclass(frozen=True, slots=True)
class Taken:
    """The right to try one delivery; ``attempts`` counts this one."""

    webhook_id: int
    delivery_id: int
    attempts: int
    holder: str


class Deliveries:
    """Recorded with an operation's end, taken, settled, looked at."""

    def __init__(self, database: Database) -> None:
        self._database, self._redis = database, database.redis
        self._jobs = Jobs(database, WEBHOOKS_QUEUE, JOB)
        self.due = Due(database, keys.WEBHOOKS_DUE)

    def attend(self) -> None:
        """Note that a courier begins; raises ``StoreUnavailable`` also when it takes nothing in."""
        with unavailable_when_lost():
            self._redis.set(keys.COURIER, "1", ex=_ATTENDED_SECONDS)

    def announced(
        self, app_id: int, first_word: int, end: Callable[[Announcement], object]
    ) -> object:
        """Return what a script answers that ends an operation, and tells the app's webhooks of it.

        ``end`` runs it; ``first_word`` is the place of the announcement's words in ARGV, counted
        from 1. The script answers with a list, and has done nothing, while there are webhooks whose
        jobs it was not given: an app without any costs no question.
        """
        webhooks: list[int] = []
        while True:
            answer = end(self._announcement(app_id, webhooks, first_word))
            if not isinstance(answer, list):
                return answer
            webhooks += [int(webhook_id) for webhook_id in answer]

    def _announcement(self, app_id: int, webhooks: list[int], first_word: int) -> Announcement:
        jobs: dict[str, int] = {}
        words: list[Word] = []
        for webhook_id in webhooks:
            jobs[str(webhook_id)] = first_word + len(words)
            words += [*self._jobs.words(webhook_id), END_OF_WORDS]
        table: dict[str, object] = {
            "of_app": keys.app_webhooks(app_id),
            "prefix": keys.webhook_prefix(),
            "deliveries": keys.delivery_prefix(),
            "due": keys.WEBHOOKS_DUE,
            "counter": keys.counter("delivery"),
            "jobs": jobs,
        }
        return Announcement(table, words)

    def take(self, webhook_id: int, *, holder: str) -> Taken | None:
        """Take the webhook's oldest delivery that is due; None when there is none to try now.

        ``holder`` names this try, so that a lost answer can be asked for again.
        """
        lease = round(LEASE_SECONDS * 1000)
        answer = self._database.run(
            "take_delivery",
            webhook_keys(webhook_id),
            [webhook_id, holder, lease, now_iso(), keys.delivery_prefix()],
        )
        match answer:
            case [delivery_id, attempts]:
                return Taken(webhook_id, int(str(delivery_id)), int(str(attempts)), holder)
            case _:
                return None

    def settle(self, taken: Taken, attempt: Attempt) -> None:
        """Record how the try ended: it has succeeded, is tried again later, or is given up.

        Whoever lost the right to it meanwhile changes nothing.
        """
        pause = None if attempt.succeeded else pause_after(taken.attempts)
        next_at = iso(time.time() + pause) if pause else ""
        status = DeliveryStatus.SUCCEEDED if attempt.succeeded else DeliveryStatus.FAILED
        if pause is not None:
            status = DeliveryStatus.PENDING
        self._database.run(
            "settle_delivery",
            webhook_keys(taken.webhook_id),
            [
                *(taken.webhook_id, taken.holder, taken.delivery_id, status.value),
                *(attempt.response_code or "", attempt.error or "", now_iso()),
                *((pause or 0) * 1000, next_at, keys.delivery_prefix(), KEPT),
                *self._jobs.words(taken.webhook_id),
            ],
        )

    def wake(self, webhook_id: int) -> None:
        """Wake a courier for a webhook that is overdue; one too many does no harm."""
        words = [webhook_id, *self._jobs.words(webhook_id)]
        self._database.run("wake_webhook", webhook_keys(webhook_id), words)

    def waiting(self) -> set[int]:
        """Return the webhooks whose job no courier has taken yet."""
        return self._jobs.waiting()

    def delivery(self, delivery_id: int) -> Delivery | None:
        """Return a delivery, None when it is kept no longer."""
        with unavailable_when_lost():
            fields = self._redis.hgetall(keys.delivery(delivery_id))
        return _delivery(delivery_id, fields) if fields else None

    def of_webhook(self, webhook_id: int) -> list[Delivery]:
        """Return what is kept of a webhook's deliveries, newest first.

        Of those that have not ended, all are kept; a hundred are returned.
        """
        with unavailable_when_lost():
            pending = self._redis.zrevrange(keys.webhook_pending(webhook_id), 0, _MOST_PENDING - 1)
            ended = self._redis.lrange(keys.webhook_ended(webhook_id), 0, -1)
        ids = sorted({int(each) for each in (*pending, *ended)}, reverse=True)
        found = map(self.delivery, ids)
        return [each for each in found if each is not None]


def webhook_keys(webhook_id: int) -> list[str]:
    """Return the keys of a webhook in the order that ``scripts/webhook.lua`` names them."""
    return [
        keys.webhook(webhook_id),
        keys.webhook_pending(webhook_id),
        keys.webhook_ended(webhook_id),
        keys.webhook_lease(webhook_id),
        keys.WEBHOOKS_DUE,
    ]


def _delivery(delivery_id: int, fields: dict[str, str]) -> Delivery:
    code = fields.get("code")
    return Delivery(
        id=delivery_id,
        webhook_id=int(fields["webhook"]),
        operation_id=int(fields["operation"]),
        status=DeliveryStatus(fields["status"]),
        attempts=int(fields["attempts"]),
        created_at=fields["created_at"],
        attempted_at=fields.get("attempted_at"),
        ended_at=fields.get("ended_at"),
        next_at=fields.get("next_at"),
        response_code=int(code) if code else None,
        error=fields.get("error") or None,
    )
