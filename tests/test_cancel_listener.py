"""A running operation hears of its cancel, with a real Redis (SPEC 6.7)."""

import threading
import time

import pytest
from full_redis import full

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import OperationCancelled, StoreUnavailable
from enclave.operation import Operation, OperationRequest, OperationType
from enclave.people import User
from enclave.store import Store
from testbed.processes import wait_until
from worker.cancel_listener import CancelListener
from worker.safe_points import SafePoints

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")


@pytest.fixture
def running(store: Store) -> Operation:
    app: App = store.apps.create(store.apps.create_environment("prod"), "web")
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email)
    operation = store.operations.submit(request, Changes())
    assert store.leases.take(app.id, holder="w", seconds=60) is not None
    return operation


def test_a_cancel_is_heard_at_once(store: Store, running: Operation) -> None:
    points = SafePoints()
    with CancelListener(store.operations, running.id, points).listening():
        points.check()
        store.operations.cancel(store.operations.operation(running.id), by=ANN)
        began = time.monotonic()
        with pytest.raises(OperationCancelled):
            points.attempt(lambda: threading.Event().wait(20))
        assert time.monotonic() - began < 2


def test_listening_ends_at_once_without_a_cancel(store: Store, running: Operation) -> None:
    began = time.monotonic()
    points = SafePoints()
    with CancelListener(store.operations, running.id, points).listening():
        pass
    assert time.monotonic() - began < 2
    points.check()


def test_a_full_store_makes_nobody_wait_for_the_end(store: Store, running: Operation) -> None:
    points = SafePoints()
    with full(store):
        with CancelListener(store.operations, running.id, points).listening():

            def blocked() -> bool:
                clients = store.database.raw.client_list()
                return any(each["cmd"] == "blpop" for each in clients)

            wait_until(blocked, seconds=10, what="nobody listens")
            began = time.monotonic()
        assert time.monotonic() - began < 2


class _Away:
    """A store that does not answer at first, nor at the end."""

    def __init__(self) -> None:
        self.asked = 0

    def wait_for_control(self, _operation_id: int, *, seconds: float) -> bool:
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("away")
        return True

    def stop_waiting_for_control(self, _operation_id: int) -> None:
        raise StoreUnavailable("away again")


def test_a_store_that_can_only_be_read_is_not_asked_all_the_time(
    store: Store, running: Operation, caplog: pytest.LogCaptureFixture
) -> None:
    store.database.raw.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        points = SafePoints()
        with CancelListener(store.operations, running.id, points).listening():
            threading.Event().wait(0.5)
        assert len(caplog.records) <= 2
    finally:
        store.database.raw.execute_command("REPLICAOF", "NO", "ONE")


def test_a_store_that_was_away_is_asked_again() -> None:
    points = SafePoints()
    with (
        pytest.raises(OperationCancelled),
        CancelListener(_Away(), 1, points).listening(),  # type: ignore[arg-type]
    ):
        points.attempt(lambda: threading.Event().wait(20))
