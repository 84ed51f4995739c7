"""The queue's wake-up calls: an RQ job that says "app N has work".

RQ carries no truth: the app's own list of operations does. A wake-up that is lost is repeated by
the reconciler; one too many finds the app idle or taken, and ends.
"""

from __future__ import annotations

import uuid
from functools import cached_property

from rq import Queue
from rq.serializers import JSONSerializer

from enclave.store import keys
from enclave.store.database import Database, Word, app_keys, unavailable_when_lost

QUEUE_NAME = "operations"
JOB = "worker.job.work_on_app"
SWEEP_JOB = "worker.job.sweep_engine"
_NO_TIMEOUT = -1  # RQ's default is 180 s; we time every step ourselves
_FAILURE_SECONDS = 3600  # that RQ keeps a job whose work horse died


class Wakeups:
    """Jobs that tell a worker to look; RQ's list gives the apps their turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _queue(self) -> Queue:
        queue = Queue(QUEUE_NAME, connection=self._database.raw, serializer=JSONSerializer)
        queue.get_redis_server_version()  # asked once: RQ keeps it
        return queue

    def words(self, app_id: int) -> list[Word]:
        """Return the commands with which RQ would enqueue a wake-up, flattened for ``prelude.lua``.

        They run inside our transaction: no operation without its wake-up, none for one that was not
        accepted. Every wake-up is a job of its own: RQ deletes a job by its id when it ends, so an
        id used twice could delete the next one. The id begins with the app's.
        """
        pipeline = self._database.raw.pipeline()
        with unavailable_when_lost():  # RQ asks Redis for its version
            self._queue.enqueue_call(
                JOB,
                args=(app_id,),
                timeout=_NO_TIMEOUT,
                result_ttl=0,
                failure_ttl=_FAILURE_SECONDS,
                job_id=f"{app_id}-{uuid.uuid4().hex}",
                pipeline=pipeline,
            )
        words: list[Word] = []
        for command, _options in pipeline.command_stack:
            words += [len(command), *(_word(word) for word in command)]
        return words

    def waiting(self) -> set[int]:
        """Return the apps whose wake-up no worker has taken yet: all workers are busy."""
        with unavailable_when_lost():
            jobs = self._queue.get_job_ids()
        first = (job.partition("-")[0] for job in jobs)
        return {int(app_id) for app_id in first if app_id.isdecimal()}

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
            self._queue.enqueue_call(
                SWEEP_JOB,
                timeout=_NO_TIMEOUT,
                result_ttl=0,
                failure_ttl=_FAILURE_SECONDS,
                job_id=f"sweep-{uuid.uuid4().hex}",  # RQ's own can begin like an app's
            )
        return True


def _word(word: object) -> Word:
    """Return one word as Redis gets it: an enum by its value."""
    return word if isinstance(word, bytes | int) else str(getattr(word, "value", word))
