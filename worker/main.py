"""``enclave worker``: one RQ worker, one operation at a time."""

from __future__ import annotations

import redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

import worker.job  # noqa: F401 -- imported before the fork, so that a work horse starts at once
from enclave.settings import Settings
from enclave.store.wakeups import QUEUE_NAME


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; the operation that runs then is finished first."""
    connection = redis.Redis.from_url(settings.resolved_redis_url)
    queue = Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)
    rq_worker = Worker([queue], connection=connection, serializer=JSONSerializer)
    rq_worker.work(logging_level="WARNING", with_scheduler=False)
