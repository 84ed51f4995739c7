"""``enclave worker``: one RQ worker, one operation at a time."""

from __future__ import annotations

import signal

import redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from enclave.settings import Settings
from enclave.store import open_store
from enclave.store.wakeups import QUEUE_NAME
from worker.job import SHUTDOWN  # imported before the fork, so that a work horse starts at once

SWEEP_SECONDS = 300
"""Between two looks at the whole Engine."""


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    The operation that runs then is finished first, or handed back if it has begun nothing.
    """
    open_store(settings).wakeups.ask_for_sweep(rest_seconds=SWEEP_SECONDS, at_once=True)
    connection = redis.Redis.from_url(settings.resolved_redis_url)
    queue = Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)
    rq_worker = _Worker([queue], connection=connection, serializer=JSONSerializer)
    rq_worker.work(logging_level="WARNING", with_scheduler=False)


class _Worker(Worker):
    """RQ's worker, whose work horse hears of the SIGTERM, too."""

    def handle_warm_shutdown_request(self) -> None:
        """Tell the horse; RQ then waits for its end."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        """CTRL+C is the worker's; SIGTERM is for the operation."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, SHUTDOWN.handler)
