"""Whether somebody follows what an app's containers print: then their last words are waited for."""

from __future__ import annotations

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

NOTED_SECONDS = 15
"""A note counts for so long: who goes on looking repeats it before."""


LOOK_SECONDS = 0.4
"""Between two looks at an app's containers."""

LAST_WORDS_SECONDS = 2 * LOOK_SECONDS
"""What was stopped is left there for so long when somebody looks: what it printed is gone with it.
"""


class Followers:
    """A note an app, which expires."""

    def __init__(self, database: Database) -> None:
        self._redis = database.redis

    def note(self, app_id: int) -> None:
        """Say that somebody looks. Raises ``StoreUnavailable``."""
        with unavailable_when_lost():
            self._redis.set(keys.followed(app_id), "1", ex=NOTED_SECONDS)

    def any(self, app_id: int) -> bool:
        """Whether somebody looks. Raises ``StoreUnavailable``."""
        with unavailable_when_lost():
            return self._redis.exists(keys.followed(app_id)) > 0
