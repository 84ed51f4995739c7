"""What is due: apps whose lease ran out, or whose wake-up nobody answered (DESIGN 4)."""

from __future__ import annotations

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_POSTPONED_MS = 10_000
_SUBSCRIBED_SECONDS = 10.0


class Due:
    """The reconciler's list. Nothing in it, nothing to ask Redis: a new entry is announced."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def overdue(self) -> list[int]:
        """Return the apps that somebody should have looked at by now."""
        now = self._now()
        with unavailable_when_lost():
            return [int(app) for app in self._redis.zrangebyscore(keys.DUE, 0, now)]

    def postpone(self, app_id: int) -> None:
        """Look at the app ten seconds later: its wake-up is there, all workers are busy."""
        self._database.run("postpone", [keys.DUE], [self._now() + _POSTPONED_MS, app_id])

    def next_in(self) -> float | None:
        """Return the seconds until the first entry is due, None when there is none."""
        with unavailable_when_lost():
            first = self._redis.zrange(keys.DUE, 0, 0, withscores=True)
        return max(first[0][1] - self._now(), 0) / 1000 if first else None

    async def wait(self, seconds: float) -> None:
        """Return when there is an entry, or ``seconds`` have passed. Raises ``StoreUnavailable``.

        It listens first and looks then: no announcement falls between.
        """
        with unavailable_when_lost():
            async with self._database.asynchronous() as client, client.pubsub() as channel:
                await channel.subscribe(keys.DUE)
                await channel.get_message(timeout=_SUBSCRIBED_SECONDS)
                if await client.zcard(keys.DUE) == 0:
                    await channel.get_message(timeout=seconds)

    def _now(self) -> int:
        with unavailable_when_lost():
            seconds, microseconds = self._redis.time()
        return seconds * 1000 + microseconds // 1000
