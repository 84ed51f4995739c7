"""worker/operation.py on real Redis: what happens when workers freeze, die or lose their Engine.

The runtime is a double in memory: what is tested is who may touch which container, and when.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.credentials import RegistryCredentials
from enclave.errors import ContainerDied, OperationFailed
from enclave.image import ImageReference
from enclave.operation import (
    Operation,
    OperationRequest,
    OperationStatus,
    OperationType,
    Source,
)
from enclave.people import User
from enclave.pushed_config import PushedConfig
from enclave.settings import Settings
from enclave.store import Store, keys
from testbed.processes import wait_until
from worker.operation import run_next_operation
from worker.runtime import Container, ContainerSpec, Image

LEASE = 1.5
ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")


class Engine:
    """Containers in memory. ``on[CALL, THREAD]`` runs before a call made by that worker."""

    def __init__(self) -> None:
        self.all: dict[str, Container] = {}
        self.on: dict[tuple[str, str], Callable[[], None]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def running(self) -> list[str]:
        return sorted(each.image_id for each in self.all.values() if each.running)

    def _call(self, name: str) -> None:
        self.on.get((name, threading.current_thread().name), lambda: None)()

    def resolve(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        self._call("resolve")
        return "sha256:" + "a" * 64

    def pull(
        self,
        reference: ImageReference,
        *_: object,
        progress: object,
        summary: object,
        seconds: float,
    ) -> Image:
        self._call("pull")
        return Image(str(reference), f"id of {reference.path}", (), ("serve",))

    def image(self, pinned_or_id: str) -> Image | None:
        return None

    def run(self, spec: ContainerSpec, *, output: Callable[[bytes], None], seconds: float) -> int:
        container = self._make(spec)
        self._call("run")
        return 137 if self.all.pop(container.id, None) is None else 0

    def start(self, spec: ContainerSpec) -> Container:
        self._call("start")
        return self._make(spec)

    def settle(self, container: Container, *, seconds: float) -> None:
        self._call("settle")
        if container.id not in self.all:
            raise ContainerDied("it is gone")

    def keep(self, container: Container) -> None:
        self._call("keep")

    def stop(self, container: Container, *, seconds: float) -> None:
        self._call("stop")
        with self._lock:
            if container.id in self.all:
                self.all[container.id] = replace(container, running=False)

    def resume(self, container: Container) -> Container:
        self._call("resume")
        self.all[container.id] = replace(container, running=True)
        return self.all[container.id]

    def remove(self, container: Container) -> None:
        self._call("remove")
        self.all.pop(container.id, None)

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        self._call("containers")
        with self._lock:
            found = list(self.all.values())
        return [each for each in found if labels.items() <= dict(each.labels).items()]

    def tail(self, container: Container, *, lines: int) -> list[str]:
        return []

    def _make(self, spec: ContainerSpec) -> Container:
        with self._lock:
            identifier = str(next(self._numbers))
            made = Container(identifier, spec.name, spec.labels, True, spec.image_id)
            self.all[identifier] = made
            return made


def _stop(reached: threading.Event, until: threading.Event) -> Callable[[], None]:
    """Say that a call was reached, and hold it up."""

    def hold_up() -> None:
        reached.set()
        until.wait(20)

    return hold_up


class Platform:
    """An app on a real store, and workers that run its operations on one engine."""

    def __init__(self, store: Store, data: Path) -> None:
        self.store, self.engine = store, Engine()
        environment = store.apps.create_environment("prod")
        self.app: App = store.apps.create(environment, "web")
        self.settings = Settings(data=data, lease_seconds=LEASE, settle_seconds=0, stop_seconds=0)

    def deploy(self, image: str | None = None, pushed: PushedConfig | None = None) -> Operation:
        source = Source.KEEP if pushed is None else Source.COMMIT
        request = OperationRequest(
            self.app.id, OperationType.DEPLOY, 1, ANN.email, source=source, pushed=pushed
        )
        return self.store.operations.submit(request, Changes(image=image))

    def worker(self, name: str = "worker") -> threading.Thread:
        thread = threading.Thread(
            target=run_next_operation,
            args=(self.store, self.engine, self.settings, self.app.id),
            name=name,
            daemon=True,
        )
        thread.start()
        return thread

    def work(self) -> None:
        self.worker().join(30)

    def status(self, operation: Operation) -> OperationStatus:
        return self.store.operations.operation(operation.id).status

    def log(self, operation: Operation) -> list[str]:
        return [entry.line for entry in self.store.logs.so_far(operation.id)]

    def lose_lease(self) -> None:
        """Let the lease run out, as if its worker had been frozen."""
        self.store.database.redis.hset(keys.lease(self.app.id), "expires", 1)


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> Platform:
    platform = Platform(store, tmp_path)
    platform.deploy("one:1")
    platform.work()
    assert platform.engine.running() == ["id of library/one"]
    return platform


def test_the_last_line_of_the_log_and_the_outcome_are_one(platform: Platform) -> None:
    operation = platform.deploy("two:1")
    platform.work()
    assert platform.log(operation)[-2:] == ["INFO: Deploy succeeded.", ""]
    assert platform.engine.running() == ["id of library/two"]


def test_tidying_up_leaves_the_next_operation_alone(platform: Platform) -> None:
    """The lease is free while the old containers go; the next operation may have begun."""
    first = platform.deploy("two:1")
    pushed = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")
    second = platform.deploy(pushed=pushed)
    gone, begun = threading.Event(), threading.Event()
    platform.engine.on["remove", "first"] = lambda: bool(begun.wait(10))
    platform.engine.on["run", "second"] = _stop(begun, gone)

    one = platform.worker("first")
    wait_until(lambda: platform.status(first).ended, seconds=10, what="the first did not end")
    two = platform.worker("second")
    one.join(10)
    gone.set()
    two.join(10)

    assert platform.status(second) is OperationStatus.SUCCEEDED, platform.log(second)


def test_who_lost_the_lease_removes_nothing_of_the_winners(platform: Platform) -> None:
    """Both ran the same operation: it had not begun when the first worker froze."""
    operation = platform.deploy("two:1")
    frozen, thaw = threading.Event(), threading.Event()
    platform.engine.on["pull", "loser"] = _stop(frozen, thaw)
    loser = platform.worker("loser")
    assert frozen.wait(10)

    def taken_over() -> bool:
        platform.lose_lease()
        platform.worker("winner").join(10)
        return platform.status(operation).ended

    wait_until(taken_over, seconds=20, what="nobody took over")
    thaw.set()
    loser.join(20)

    assert platform.status(operation) is OperationStatus.SUCCEEDED
    assert platform.engine.running() == ["id of library/two"]
    assert len(platform.engine.all) == 1


def test_who_lost_the_lease_does_not_roll_back_over_a_later_release(platform: Platform) -> None:
    operation = platform.deploy("two:1")
    later = platform.deploy("three:1")
    frozen, thaw = threading.Event(), threading.Event()
    platform.engine.on["settle", "loser"] = _stop(frozen, thaw)
    loser = platform.worker("loser")
    assert frozen.wait(10)

    def taken_over() -> bool:
        platform.lose_lease()
        platform.worker("winner").join(10)
        return platform.status(operation).ended

    wait_until(taken_over, seconds=20, what="nobody took over")
    platform.worker("winner").join(10)
    assert platform.status(later) is OperationStatus.SUCCEEDED
    thaw.set()  # its containers are gone: it sees a ContainerDied
    loser.join(20)

    assert platform.engine.running() == ["id of library/three"]


def test_an_engine_that_is_away_for_a_while_gets_the_old_release_back(platform: Platform) -> None:
    operation = platform.deploy("two:1")
    back = threading.Event()

    def away() -> None:
        if not back.is_set():
            raise OperationFailed("The Docker Engine does not answer.")

    for call in ("start", "containers", "resume", "remove"):
        platform.engine.on[call, "worker"] = away
    platform.engine.on["containers", "worker"] = lambda: None
    stopped = threading.Event()

    def begin() -> None:
        stopped.set()
        away()

    platform.engine.on["start", "worker"] = begin
    worker = platform.worker()
    assert stopped.wait(10)
    platform.engine.on["containers", "worker"] = away
    assert platform.engine.running() == []
    time.sleep(2 * LEASE)  # longer than a lease: it is kept meanwhile
    assert not platform.status(operation).ended
    back.set()
    worker.join(20)

    assert platform.status(operation) is OperationStatus.FAILED
    assert platform.engine.running() == ["id of library/one"]
    assert any("Cannot roll back yet" in line for line in platform.log(operation))
    assert "INFO: Rolled back: release 1 serves again." in platform.log(operation)


def test_a_deploy_that_changed_nothing_waits_for_no_engine(platform: Platform) -> None:
    """The Engine is away from the start: the pusher is told at once, not after a rollback."""

    def away() -> None:
        raise OperationFailed("The Docker Engine does not answer.")

    for call in ("resolve", "start", "containers", "resume", "remove"):
        platform.engine.on[call, "worker"] = away
    operation = platform.deploy("two:1")
    began = time.monotonic()
    platform.work()

    assert platform.status(operation) is OperationStatus.FAILED
    assert time.monotonic() - began < 5
    assert platform.engine.running() == ["id of library/one"]
    assert "ERROR: The Docker Engine does not answer." in platform.log(operation)


def test_a_cancel_that_takes_its_time_does_not_cost_the_lease(platform: Platform) -> None:
    pushed = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")
    operation = platform.deploy(pushed=pushed)
    running, killed = threading.Event(), threading.Event()
    platform.engine.on["run", "worker"] = _stop(running, killed)

    def take_time() -> None:
        time.sleep(2 * LEASE)
        killed.set()

    platform.engine.on["remove", "worker"] = take_time
    worker = platform.worker()
    assert running.wait(10)
    platform.store.operations.cancel(platform.store.operations.operation(operation.id), by=ANN)

    time.sleep(1.5 * LEASE)
    other = platform.store.leases.take(platform.app.id, holder="other", seconds=LEASE)
    worker.join(20)

    assert other is None
    assert platform.store.operations.operation(operation.id).cancelled
    assert platform.engine.running() == ["id of library/one"]


def test_records_that_cannot_be_read_end_the_operation(platform: Platform) -> None:
    operation = platform.deploy("two:1")
    platform.store.database.redis.hset(keys.operation(operation.id), "sealed", "nonsense")
    platform.work()

    assert platform.status(operation) is OperationStatus.FAILED
    assert platform.deploy("two:1").id
    platform.work()
    assert platform.engine.running() == ["id of library/two"]


def test_an_operation_that_kills_its_workers_is_given_up(platform: Platform) -> None:
    operation = platform.deploy("two:1")
    for number in range(4):
        platform.lose_lease()
        platform.store.leases.take(platform.app.id, holder=f"dies {number}", seconds=LEASE)
    platform.lose_lease()
    platform.work()

    assert platform.status(operation) is OperationStatus.FAILED
    assert "given up" in "\n".join(platform.log(operation))
    assert platform.engine.running() == ["id of library/one"]
