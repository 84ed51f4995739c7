"""Operations that wait, few or many, and what the next one costs beside them."""

from __future__ import annotations

import random
import secrets
from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from time import perf_counter

from bench.pushing.private_redis import start_redis
from bench.queueing.deploys import push, submit
from enclave.app import App
from enclave.operation import OperationStatus
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.store.leases import Ending

STEPS = ("a deploy is queued", "a push is accepted", "an operation is taken", "… is ended")
_LEASE_SECONDS = 60.0
_LOGS_KEPT = 1_000_000  # more than any app gets here: few apps would drop logs, many would not


class Backlog:
    """``waiting`` operations of ``apps`` apps in a Redis of its own, without a worker.

    Every second one came with a push. ``sample`` leaves the queues as long as they were.
    """

    def __init__(self, directory: Path, *, apps: int, waiting: int) -> None:
        directory.mkdir()
        socket = directory / "redis.sock"
        self.waiting = waiting
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._redis = start_redis(directory, socket)
        self._store = Store(
            f"unix://{socket}", Sealer.from_settings("", directory), logs_kept=_LOGS_KEPT
        )
        environment = self._store.apps.create_environment("bench")
        self._apps = [self._store.apps.create(environment, f"app-{n}") for n in range(apps)]
        self._queue(waiting)

    def sample(self) -> None:
        """Queue one operation each way, with the clock; take and end as many of the same app."""
        app = random.choice(self._apps)
        for step, queue in zip(STEPS, (submit, push), strict=False):
            _, seconds = queue(self._store, app)
            self.seconds[step].append(seconds)
            self._take_and_end(app)

    def close(self) -> None:
        """End the Redis."""
        self._redis.kill()

    def _queue(self, waiting: int) -> None:
        for number, app in zip(range(waiting), cycle(self._apps), strict=False):
            (push if number // len(self._apps) % 2 else submit)(self._store, app)

    def _take_and_end(self, app: App) -> None:
        begin = perf_counter()
        lease = self._store.leases.take(
            app.id, holder=secrets.token_hex(16), seconds=_LEASE_SECONDS
        )
        taken = perf_counter()
        if lease is None:
            raise RuntimeError(f"nothing could be taken of {app.name}")
        self._store.leases.finish(lease, Ending(OperationStatus.FAILED, "Nothing to deploy."))
        self.seconds[STEPS[2]].append(taken - begin)
        self.seconds[STEPS[3]].append(perf_counter() - taken)


def sample_in_turns(backlogs: Sequence[Backlog], *, warm_up: int, samples: int) -> None:
    """Sample each of the backlogs ``samples`` times; who goes first changes every time."""
    order = list(backlogs)
    for number in range(warm_up + samples):
        if number == warm_up:
            for backlog in backlogs:
                backlog.seconds.clear()
        order.reverse()
        for backlog in order:
            backlog.sample()
