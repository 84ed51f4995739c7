"""Calls for an attendant: a receiver says where it listens, one attendant goes there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import cast
from uuid import uuid4

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_SUBSCRIBED_SECONDS = 10.0
_LOOK_SECONDS = 300.0  # an announcement that was lost delays no call for longer
CALL_SECONDS = 10
"""A call that nobody answers is forgotten after it."""


class Calls:
    """Addresses by when they called, each for one attendant. Who waits for a call asks nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, address: str) -> None:
        """Call one attendant to ``address`` (host:port). Raises ``StoreUnavailable``.

        A call that nobody answers goes by its own age, however many are made after it.
        """
        call = f"{address} {uuid4().hex}"  # one receiver may call for several sessions
        with unavailable_when_lost(), self._database.redis.pipeline() as calling:
            now = _seconds(self._database.redis.time())
            calling.zremrangebyscore(keys.CALLS, "-inf", now - CALL_SECONDS)
            calling.zadd(keys.CALLS, {call: now})
            calling.expire(keys.CALLS, CALL_SECONDS)
            calling.publish(keys.CALLS, "")
            calling.execute()

    async def heard(self) -> AsyncGenerator[str, None]:
        """Yield the addresses of calls as they are made. Raises ``StoreUnavailable``."""
        with unavailable_when_lost():
            async with self._database.asynchronous() as client, client.pubsub() as channel:
                await channel.subscribe(keys.CALLS)
                await channel.get_message(timeout=_SUBSCRIBED_SECONDS)
                while True:
                    while waiting := await client.zpopmin(keys.CALLS):
                        ((call, called),) = cast(list[tuple[str, float]], waiting)
                        if called > _seconds(await client.time()) - CALL_SECONDS:
                            yield call.partition(" ")[0]
                    await channel.get_message(timeout=_LOOK_SECONDS)


def _seconds(time: tuple[int, int]) -> float:
    """Return the store's own time, which all who call and answer share."""
    seconds, microseconds = time
    return seconds + microseconds / 1e6
