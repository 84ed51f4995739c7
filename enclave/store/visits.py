"""Which terminals are open: a note each, which expires unless who serves it says so again."""

from __future__ import annotations

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

NOTED_SECONDS = 60


class Visits:
    """Containers of terminals without a note are removed."""

    def __init__(self, database: Database) -> None:
        self._redis = database.redis

    def note(self, operation_id: int) -> None:
        """Say that the terminal is open. Raises ``StoreUnavailable``."""
        with unavailable_when_lost():
            self._redis.set(keys.visited(operation_id), "1", ex=NOTED_SECONDS)

    def is_open(self, operation_id: int) -> bool:
        """Whether somebody serves it. Raises ``StoreUnavailable``."""
        with unavailable_when_lost():
            return self._redis.exists(keys.visited(operation_id)) > 0
