"""Calls for an attendant: a receiver says where it listens, one attendant goes there."""

from __future__ import annotations

from collections.abc import AsyncIterator

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_SUBSCRIBED_SECONDS = 10.0
_LOOK_SECONDS = 300.0  # an announcement that was lost delays no call for longer
CALL_SECONDS = 10
"""A call that nobody answers is forgotten after it."""


class Calls:
    """A list of addresses, each for one attendant. Who waits for a call asks Redis nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, address: str) -> None:
        """Call one attendant to ``address`` (host:port). Raises ``StoreUnavailable``."""
        with unavailable_when_lost(), self._database.redis.pipeline() as calling:
            calling.rpush(keys.CALLS, address)
            calling.expire(keys.CALLS, CALL_SECONDS)
            calling.publish(keys.CALLS, "")
            calling.execute()

    async def heard(self) -> AsyncIterator[str]:
        """Yield the addresses of calls as they are made. Raises ``StoreUnavailable``."""
        with unavailable_when_lost():
            async with self._database.asynchronous() as client, client.pubsub() as channel:
                await channel.subscribe(keys.CALLS)
                await channel.get_message(timeout=_SUBSCRIBED_SECONDS)
                while True:
                    while address := await client.lpop(keys.CALLS):
                        yield str(address)
                    await channel.get_message(timeout=_LOOK_SECONDS)
