"""From queued to running: our worker, and beside it RQ's own with a job that does nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from bench.queueing.deploys import push, submit
from bench.queueing.empty import nothing
from enclave.settings import Settings
from enclave.store import keys, open_store
from testbed.installation import Installation
from testbed.processes import Child, wait_until

WAYS = ("a push", "a deploy", "a bare RQ job")
_REFERENCE = "reference"
_WORKERS = 5  # ours, the reference's, the housekeeper, two couriers
_SECONDS = 30.0


class Race:
    """One idle worker each; they take turns in being woken."""

    def __init__(self, installation: Installation) -> None:
        self._redis = installation.redis()
        self._redis.config_set("notify-keyspace-events", "Kh")
        self._store = open_store(Settings(data=installation.data, redis_url="", secret_keys=""))
        environment = self._store.apps.create_environment("bench")
        self._app = self._store.apps.create(environment, "wakeup")
        raw = redis.Redis(unix_socket_path=str(installation.redis_socket))
        self._queue = Queue(_REFERENCE, connection=raw, serializer=JSONSerializer)
        self.seconds: dict[str, list[float]] = {way: [] for way in WAYS}

    def run(self, *, warm_up: int, rounds: int) -> None:
        """Queue one thing each way, ``rounds`` times, each when all workers are idle again."""
        ways: dict[str, Callable[[], float]] = dict(
            zip(WAYS, (self._push, self._deploy, self._job), strict=True)
        )
        for number in range(warm_up + rounds):
            for way, run in ways.items():
                self._wait_for_idle_workers()
                seconds = run()
                if number >= warm_up:
                    self.seconds[way].append(seconds)

    def _push(self) -> float:
        operation_id, _ = push(self._store, self._app)
        return self._until_it_runs(keys.operation(operation_id))

    def _deploy(self) -> float:
        operation_id, _ = submit(self._store, self._app)
        return self._until_it_runs(keys.operation(operation_id))

    def _job(self) -> float:
        job = self._queue.enqueue_call(nothing, timeout=-1, result_ttl=60)
        return self._until_it_runs(f"rq:job:{job.id}")

    def _until_it_runs(self, record: str) -> float:
        """Return the seconds until the record is no longer that of something queued.

        Redis tells of every change of it, so that waiting takes nothing from the workers. A job
        that does nothing may have ended by the time we look.
        """
        begin = perf_counter()
        with self._redis.pubsub() as changes:  # type: ignore[no-untyped-call]
            changes.subscribe(f"__keyspace@0__:{record}")
            while changes.get_message(timeout=_SECONDS) is not None:
                if self._redis.hget(record, "status") != "queued":
                    return perf_counter() - begin
        raise RuntimeError(f"{record} was not run")

    def _wait_for_idle_workers(self) -> None:
        def idle() -> bool:
            waiting = [each for each in self._redis.client_list() if each["cmd"] == "blmove"]
            return sum("b" in each["flags"] for each in waiting) == _WORKERS

        wait_until(idle, seconds=_SECONDS, what="the workers did not come to rest")


@contextmanager
def reference_worker(installation: Installation) -> Iterator[None]:
    """Run RQ's own worker for the reference's queue, on the installation's Redis."""
    worker = Child(
        [
            *(sys.executable, "-m", "rq.cli", "worker", "--logging_level", "WARNING"),
            *("--serializer", "rq.serializers.JSONSerializer"),
            *("--url", f"unix://{installation.redis_socket}", _REFERENCE),
        ],
        log=installation.directory / "reference.log",
        environment=installation.environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield
    finally:
        worker.stop()
