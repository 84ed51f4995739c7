"""The queue's wake-up calls: an RQ job that says "app N has work".

RQ carries no truth: the app's own list of operations does. A wake-up that is lost is repeated by
the reconciler; one too many finds the app idle or taken, and ends.
"""

from __future__ import annotations

import uuid

from enclave.store import keys
from enclave.store.database import Database, Word, app_keys, unavailable_when_lost
from enclave.store.jobs import FAILURE_SECONDS, NO_TIMEOUT, Jobs

QUEUE_NAME = "operations"
JOB = "worker.job.work_on_app"
SWEEP_JOB = "worker.job.sweep_engine"


class Wakeups:
    """Jobs that tell a worker to look; RQ's list gives the apps their turns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = Jobs(database, QUEUE_NAME, JOB)

    def words(self, app_id: int) -> list[Word]:
        """Return the commands that enqueue a wake-up, as scripts take them (``Jobs.words``)."""
        return self._jobs.words(app_id)

    def waiting(self) -> set[int]:
        """Return the apps whose wake-up no worker has taken yet: all workers are busy."""
        return self._jobs.waiting()

    def wake(self, app_id: int) -> None:
        """Wake a worker for the app once more; one too many does no harm."""
        self._database.run("wake", app_keys(app_id), [app_id, *self.words(app_id)])

    def ask_for_sweep(self, *, rest_seconds: int, at_once: bool = False) -> bool:
        """Have a worker look for containers that nobody counts on; return whether it was asked.

        At most once in ``rest_seconds``, unless ``at_once``.
        """
        with unavailable_when_lost():
            asked = self._database.redis.set(keys.SWEPT, "1", ex=rest_seconds, nx=not at_once)
            if not asked:
                return False
            self._jobs.queue.enqueue_call(
                SWEEP_JOB,
                timeout=NO_TIMEOUT,
                result_ttl=0,
                failure_ttl=FAILURE_SECONDS,
                job_id=f"sweep-{uuid.uuid4().hex}",  # RQ's own can begin like an app's
            )
        return True
