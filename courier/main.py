"""``enclave courier``: tells webhooks what happened, one delivery at a time."""

from __future__ import annotations

from rq import Queue, Worker
from rq.serializers import JSONSerializer

import courier.job  # noqa: F401 -- imported before the fork, so that a job starts at once
from enclave.settings import Settings
from enclave.store import open_store
from enclave.store.database import connection_of_worker
from enclave.store.deliveries import WEBHOOKS_QUEUE
from enclave.store.patience import until_taken


def run_courier(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; the delivery that is tried then is tried to its end.

    A store that takes no word of ours any more ends it, too: RQ's worker does not outlive that.
    """
    until_taken(open_store(settings).deliveries.attend)
    connection = connection_of_worker(settings.resolved_redis_url)
    queue = Queue(WEBHOOKS_QUEUE, connection=connection, serializer=JSONSerializer)
    worker = Worker([queue], connection=connection, serializer=JSONSerializer)
    worker.work(logging_level="WARNING", with_scheduler=False)
