"""``enclave housekeeper``: looks after the repositories of this machine, one job at a time."""

from __future__ import annotations

import logging
import time

from rq import Queue, Worker
from rq.serializers import JSONSerializer

import receiver.repacking  # noqa: F401 -- imported before the fork, so that a job starts at once
from enclave.errors import StoreUnavailable
from enclave.settings import Settings
from enclave.store import open_store
from enclave.store.database import connection_of_worker
from enclave.store.repacks import REPACKS_QUEUE, Repacks

logger = logging.getLogger(__name__)

_STORE_PAUSE = 1.0


def run_housekeeper(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; what runs then is finished first.

    A store that takes no word of ours any more ends it, too: RQ's worker does not outlive that.
    """
    _await_store(open_store(settings).repacks)
    connection = connection_of_worker(settings.resolved_redis_url)
    queue = Queue(REPACKS_QUEUE, connection=connection, serializer=JSONSerializer)
    worker = Worker([queue], connection=connection, serializer=JSONSerializer)
    worker.work(logging_level="WARNING", with_scheduler=False)


def _await_store(repacks: Repacks) -> None:
    """Return as soon as the store takes a word of ours.

    Who ended instead would be started again, after a pause that grows every time.
    """
    while True:
        try:
            repacks.attend()
            return
        except StoreUnavailable as error:
            logger.warning("waiting for the store: %s", error)
            time.sleep(_STORE_PAUSE)
