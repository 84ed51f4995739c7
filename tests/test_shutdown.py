"""A worker that is told to stop: before an operation has begun, and after (SIGTERM)."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_double import hold_up
from one_app import ANN, OneApp

from enclave.errors import HandedBack, OperationCancelled
from enclave.operation import OperationStatus
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from testbed.processes import wait_until
from worker.safe_points import SafePoints
from worker.shutdown import Shutdown

MIGRATES = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")


def ask(shutdown: Shutdown) -> None:
    shutdown.handler(signal.SIGTERM, None)


def stopped(points: SafePoints) -> None:
    with pytest.raises(HandedBack):
        points.attempt(lambda: threading.Event().wait(10))


class TestAsking:
    def test_before_the_operation_is_known(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        ask(shutdown)
        with shutdown.stopping(points):
            stopped(points)

    def test_before_it_has_begun(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        with shutdown.stopping(points):
            points.check()
            ask(shutdown)
            stopped(points)
            with pytest.raises(HandedBack):
                points.begin()

    def test_after_it_has_begun_it_goes_on(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        with shutdown.stopping(points):
            points.begin()
            ask(shutdown)
        points.check()
        assert points.attempt(lambda: 7) == 7

    def test_twice(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        with shutdown.stopping(points):
            ask(shutdown)
            ask(shutdown)
            stopped(points)

    def test_after_its_end_nothing_is_stopped(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        began = time.monotonic()
        with shutdown.stopping(points):
            pass
        assert time.monotonic() - began < 2
        ask(shutdown)
        points.check()

    def test_a_cancel_that_came_first_is_not_handed_to_another(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        with shutdown.stopping(points):
            points.stop(OperationCancelled("Cancelled."))
            ask(shutdown)
            with pytest.raises(OperationCancelled):
                points.attempt(lambda: threading.Event().wait(10))

    def test_as_the_handler_of_a_signal(self) -> None:
        shutdown, points = Shutdown(), SafePoints()
        before = signal.signal(signal.SIGTERM, shutdown.handler)
        try:
            with shutdown.stopping(points):
                os.kill(os.getpid(), signal.SIGTERM)
                stopped(points)
        finally:
            signal.signal(signal.SIGTERM, before)


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> OneApp:
    platform = OneApp(store, tmp_path)
    platform.deploy("one:1")
    platform.work()
    return platform


@pytest.fixture
def until() -> Iterator[threading.Event]:
    """What a call of the Engine waits for that is held up."""
    until = threading.Event()
    yield until
    until.set()


class TestAnOperation:
    def test_that_is_pulling_is_handed_back_and_succeeds_elsewhere(
        self, platform: OneApp, until: threading.Event
    ) -> None:
        operation, later = platform.deploy("two:1"), platform.deploy("three:1")
        pulling, shutdown = threading.Event(), Shutdown()
        platform.engine.on["pull", "worker"] = hold_up(pulling, until)
        worker = platform.worker(shutdown=shutdown)
        assert pulling.wait(10)

        ask(shutdown)
        worker.join(10)

        assert not worker.is_alive()
        assert platform.status(operation) is OperationStatus.QUEUED
        assert platform.engine.running() == ["id of library/one"]
        platform.worker("other").join(30)
        assert platform.status(operation) is OperationStatus.SUCCEEDED
        assert platform.status(later) is OperationStatus.QUEUED  # each in its turn
        assert platform.engine.running() == ["id of library/two"]
        log = platform.log(operation)
        assert "INFO: The worker is being stopped: another one takes over." in log
        assert not [line for line in log if line.startswith(("ERROR", "WARN"))]

    def test_that_was_taken_a_moment_before_is_handed_back(self, platform: OneApp) -> None:
        operation, shutdown = platform.deploy("two:1"), Shutdown()
        ask(shutdown)
        platform.worker(shutdown=shutdown).join(10)
        assert platform.status(operation) is OperationStatus.QUEUED
        platform.work()
        assert platform.status(operation) is OperationStatus.SUCCEEDED

    def test_that_was_handed_back_often_is_not_given_up(self, platform: OneApp) -> None:
        """Nobody vanished over it: workers may be restarted as often as an operator likes."""
        operation = platform.deploy("two:1")
        for _ in range(5):
            shutdown = Shutdown()
            ask(shutdown)
            platform.worker(shutdown=shutdown).join(10)
        platform.work()
        assert platform.status(operation) is OperationStatus.SUCCEEDED

    def test_that_has_begun_is_finished(self, platform: OneApp, until: threading.Event) -> None:
        operation = platform.deploy("two:1", MIGRATES)
        running, shutdown = threading.Event(), Shutdown()
        platform.engine.on["run", "worker"] = hold_up(running, until)
        worker = platform.worker(shutdown=shutdown)
        assert running.wait(10)
        ask(shutdown)
        until.set()
        worker.join(20)
        assert platform.status(operation) is OperationStatus.SUCCEEDED
        assert platform.engine.running() == ["id of library/two"]

    def test_that_was_cancelled_while_it_was_handed_back_ends_cancelled(
        self, platform: OneApp
    ) -> None:
        operation, shutdown = platform.deploy("two:1"), Shutdown()
        lease = platform.store.leases.take(platform.app.id, holder="w", seconds=60)
        assert lease is not None
        platform.store.operations.cancel(platform.store.operations.operation(operation.id), by=ANN)
        platform.store.leases.hand_back(lease)
        ask(shutdown)
        platform.worker(shutdown=shutdown).join(10)
        platform.work()
        wait_until(lambda: platform.status(operation).ended, seconds=5, what="it did not end")
        ended = platform.store.operations.operation(operation.id)
        assert (ended.status, ended.cancelled) == (OperationStatus.FAILED, True)
        assert platform.engine.running() == ["id of library/one"]
