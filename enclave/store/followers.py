"""Who follows what an app's containers print: their last words are waited for, and so many may."""

from __future__ import annotations

from uuid import uuid4

from enclave.errors import TooManyRequests
from enclave.store import keys
from enclave.store.database import Database, Word, unavailable_when_lost

MOST_FOLLOWERS = 20
"""Of one app at a time: each reads every container for itself."""

NOTED_SECONDS = 15
"""A note counts for so long: who goes on looking repeats it before."""

LOOK_SECONDS = 0.4
"""Between two looks at an app's containers."""

LAST_WORDS_SECONDS = 2 * LOOK_SECONDS
"""What was stopped is left there for so long when somebody looks: what it printed is gone with it.
"""


class Followers:
    """A note a follower, which expires. All of it raises ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def join(self, app_id: int) -> str:
        """Return the name of a new follower of the app. Raises ``TooManyRequests``."""
        follower = uuid4().hex
        if not self._noted(app_id, follower):
            raise TooManyRequests(
                f"{MOST_FOLLOWERS} already follow the logs of this app: "
                "wait until one of them has seen enough.",
                seconds=NOTED_SECONDS,
            )
        return follower

    def note(self, app_id: int, follower: str) -> None:
        """Say that the follower still looks."""
        self._noted(app_id, follower)

    def leave(self, app_id: int, follower: str) -> None:
        """Say that the follower looks no more."""
        with unavailable_when_lost():
            self._database.redis.zrem(keys.followers(app_id), follower)

    def any(self, app_id: int) -> bool:
        """Whether somebody looks, or did ``NOTED_SECONDS`` ago."""
        with unavailable_when_lost():
            return self._database.redis.exists(keys.followers(app_id)) > 0

    def _noted(self, app_id: int, follower: str) -> bool:
        """Whether there was a place for it. However many ask, no more than these have one."""
        arguments: list[Word] = [follower, NOTED_SECONDS, MOST_FOLLOWERS]
        return bool(self._database.run("follow", [keys.followers(app_id)], arguments))
