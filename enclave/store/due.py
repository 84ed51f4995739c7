"""What is due: apps whose lease ran out, or whose wake-up nobody answered (DESIGN 4); and webhooks
for which a delivery is due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.client import PubSub

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_POSTPONED_MS = 10_000
_SUBSCRIBED_SECONDS = 10.0


class Due:
    """A reconciler's list. Nothing in it, nothing to ask Redis: a new entry is announced.

    ``key`` is a sorted set (number -> time in ms), and the channel of its announcements.
    """

    def __init__(self, database: Database, key: str = keys.DUE) -> None:
        self._database, self._key = database, key
        self._redis = database.redis

    def overdue(self) -> list[int]:
        """Return the numbers that somebody should have looked at by now."""
        now = self._now()
        with unavailable_when_lost():
            return [int(number) for number in self._redis.zrangebyscore(self._key, 0, now)]

    def postpone(self, number: int) -> None:
        """Look at it ten seconds later: its wake-up is there, all workers are busy."""
        self._database.run("postpone", [self._key], [self._now() + _POSTPONED_MS, number])

    def next_in(self) -> float | None:
        """Return the seconds until the first entry is due, None when there is none."""
        with unavailable_when_lost():
            first = self._redis.zrange(self._key, 0, 0, withscores=True)
        return max(first[0][1] - self._now(), 0) / 1000 if first else None

    async def wait(self, seconds: float) -> None:
        """Return when there is an entry, or ``seconds`` have passed. Raises ``StoreUnavailable``.

        It listens first and looks then: no announcement falls between.
        """
        with unavailable_when_lost():
            async with self._listening() as (client, channel):
                if await client.zcard(self._key) == 0:
                    await channel.get_message(timeout=seconds)

    async def wait_for_first(self, seconds: float) -> None:
        """Return when the first entry is due, when one is announced, or ``seconds`` have passed.

        Raises ``StoreUnavailable``. It listens first, as ``wait`` does.
        """
        with unavailable_when_lost():
            async with self._listening() as (client, channel):
                if first := await client.zrange(self._key, 0, 0, withscores=True):
                    now, microseconds = await client.time()
                    left = float(first[0][1]) / 1000 - now - microseconds / 1_000_000
                    seconds = min(seconds, max(left, 0))
                await channel.get_message(timeout=seconds)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[tuple[AsyncRedis, PubSub]]:
        async with self._database.asynchronous() as client, client.pubsub() as channel:
            await channel.subscribe(self._key)
            await channel.get_message(timeout=_SUBSCRIBED_SECONDS)
            yield client, channel

    def _now(self) -> int:
        with unavailable_when_lost():
            seconds, microseconds = self._redis.time()
        return seconds * 1000 + microseconds // 1000
