"""Who asked for a repacking: at most one job an app waits, in a queue of its own (RQ)."""

from __future__ import annotations

from rq import Queue
from rq.serializers import JSONSerializer

from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

REPACKS_QUEUE = "repacks"
_JOB = "receiver.repacking.repack_app"
_NO_TIMEOUT = -1  # each step of the job has its own
_REST_SECONDS = 600
_ATTENDED_SECONDS = 60
_FORGOTTEN_SECONDS = 3600  # a job that was lost is asked for again after it


class Repacks:
    """The way from a receiver to the housekeeper of its machine."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def ask(self, app_id: int) -> bool:
        """Ask for a repacking; return False when one waits already."""
        with unavailable_when_lost():
            if not self._redis.set(keys.repack_asked(app_id), "1", ex=_FORGOTTEN_SECONDS, nx=True):
                return False
            queue = Queue(REPACKS_QUEUE, connection=self._database.raw, serializer=JSONSerializer)
            queue.enqueue_call(
                _JOB, args=(app_id,), timeout=_NO_TIMEOUT, result_ttl=0, failure_ttl=3600
            )
        return True

    def attend(self) -> None:
        """Note that a housekeeper begins. Raises ``StoreUnavailable``, also when nothing is taken
        in: RQ's worker could not begin then.
        """
        with unavailable_when_lost():
            self._redis.set(keys.HOUSEKEEPER, "1", ex=_ATTENDED_SECONDS)

    def rest(self, app_id: int) -> None:
        """Take no wish for another repacking for ten minutes: the last one did nothing."""
        with unavailable_when_lost():
            self._redis.set(keys.repack_asked(app_id), "1", ex=_REST_SECONDS)

    def begin(self, app_id: int) -> None:
        """Note that the job runs: what is pushed from now on may ask for the next."""
        with unavailable_when_lost():
            self._redis.delete(keys.repack_asked(app_id))
