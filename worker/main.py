"""``enclave worker``: one RQ worker, one operation at a time."""

from __future__ import annotations

import logging
import signal

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from enclave.errors import StoreUnavailable
from enclave.settings import Settings
from enclave.store import open_store
from enclave.store.database import connection_of_worker
from enclave.store.patience import until_taken
from enclave.store.wakeups import JOB, QUEUE_NAME, Wakeups
from worker.job import SHUTDOWN  # imported before the fork, so that a work horse starts at once

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 300
"""Between two looks at the whole Engine."""


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    The operation that runs then is finished first, or handed back if it has begun nothing.
    """
    wakeups = open_store(settings).wakeups
    until_taken(lambda: wakeups.ask_for_sweep(rest_seconds=SWEEP_SECONDS, at_once=True))
    connection = connection_of_worker(settings.resolved_redis_url)
    queue = Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)
    rq_worker = _Worker(
        [queue],
        connection=connection,
        serializer=JSONSerializer,
        work_horse_killed_handler=lambda job, *_: _look_again(wakeups, job),
    )
    rq_worker.work(logging_level="WARNING", with_scheduler=False)


def _look_again(wakeups: Wakeups, job: Job) -> None:
    """Repeat the wake-up of a work horse that was killed: it may have died before its lease.

    If it had one, the app is looked at again when that runs out.
    """
    if job.func_name != JOB:
        return
    try:
        wakeups.wake(int(job.args[0]))
    except StoreUnavailable as error:
        logger.warning("the reconciler will look at app %s: %s", job.args[0], error)


class _Worker(Worker):
    """RQ's worker, whose work horse hears of the SIGTERM, too."""

    max_connection_wait_time = 2.0  # seconds; a store that is back is asked at once

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Tell RQ that the horse still runs; a store that takes no word ends no horse's work."""
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError as error:
            logger.warning("no heartbeat of job %s: %s", job.id, error)

    def handle_warm_shutdown_request(self) -> None:
        """Tell the horse; RQ then waits for its end."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        """CTRL+C is the worker's; SIGTERM is for the operation."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, SHUTDOWN.handler)
