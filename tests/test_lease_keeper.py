"""The keeper of an operation's lease, with a real Redis (DESIGN 4, SPEC 6.7)."""

import threading
import time
from collections.abc import Iterator

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import LeaseLost, OperationCancelled, StoreUnavailable
from enclave.operation import OperationRequest, OperationType
from enclave.people import User
from enclave.store import Store, keys
from enclave.store.operations import Ending, Lease, OperationStatus
from testbed.processes import wait_until
from worker.lease_keeper import LeaseKeeper

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")
SHORT, LONG = 0.6, 60.0


@pytest.fixture
def app(store: Store) -> App:
    app = store.apps.create(store.apps.create_environment("prod"), "web")
    store.operations.submit(OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email), Changes())
    return app


def take(store: Store, app: App, *, seconds: float, holder: str = "w1") -> Lease:
    lease = store.operations.take(app.id, holder=holder, seconds=seconds)
    assert lease is not None
    return lease


def expires(store: Store, app: App) -> int:
    return int(store.database.redis.hget(keys.lease(app.id), "expires") or 0)


@pytest.fixture
def kept(store: Store, app: App) -> Iterator[tuple[LeaseKeeper, Lease]]:
    """A keeper at work on a long lease."""
    lease = take(store, app, seconds=LONG)
    keeper = LeaseKeeper(store.operations, lease, seconds=LONG)
    with keeper.keeping():
        yield keeper, lease


def steal(store: Store, app: App) -> Lease:
    """Take the lease as another worker does once it ran out."""
    found: list[Lease] = []

    def stolen() -> bool:
        store.database.redis.hset(keys.lease(app.id), "expires", 1)
        lease = store.operations.take(app.id, holder="thief", seconds=LONG / 1000)
        found.extend([lease] if lease else [])
        return bool(found)

    wait_until(stolen, seconds=5, what="the lease was not given to another")
    return found[0]


def test_it_renews_until_the_block_ends(store: Store, app: App) -> None:
    lease = take(store, app, seconds=SHORT)
    keeper = LeaseKeeper(store.operations, lease, seconds=SHORT)
    with keeper.keeping():
        wanted = expires(store, app) + 2 * SHORT * 1000
        wait_until(lambda: expires(store, app) > wanted, seconds=10, what="it was not renewed")
        assert store.operations.take(app.id, holder="other", seconds=SHORT) is None
        keeper.check()
    last = expires(store, app)
    wait_until(lambda: time.time() * 1000 > last, seconds=5, what="time stands still")
    assert expires(store, app) == last


def test_a_cancel_interrupts_at_once(store: Store, kept: tuple[LeaseKeeper, Lease]) -> None:
    keeper, lease = kept
    interrupted = threading.Event()
    started = time.monotonic()
    with pytest.raises(OperationCancelled), keeper.interruptible(interrupted.set):
        keeper.check()
        store.operations.cancel(store.operations.operation(lease.operation_id), by=ANN)
        assert interrupted.wait(5)
    assert time.monotonic() - started < 1.0  # the next renewal would be 5 s away
    with pytest.raises(OperationCancelled):
        keeper.check()


def test_a_cancel_outside_of_what_can_be_interrupted_waits_for_the_safe_point(
    store: Store, kept: tuple[LeaseKeeper, Lease]
) -> None:
    keeper, lease = kept
    with keeper.interruptible(lambda: pytest.fail("nobody cancelled yet")):
        pass
    store.operations.cancel(store.operations.operation(lease.operation_id), by=ANN)
    wait_until(keeper._cancelled.is_set, seconds=5, what="the cancel was not heard")
    with (
        pytest.raises(OperationCancelled),
        keeper.interruptible(lambda: pytest.fail("too late")),
    ):
        pytest.fail("what was cancelled began")


def test_a_lost_lease_interrupts_and_raises(store: Store, app: App) -> None:
    lease = take(store, app, seconds=SHORT)
    keeper = LeaseKeeper(store.operations, lease, seconds=SHORT)
    interrupted = threading.Event()
    with keeper.keeping():
        with pytest.raises(LeaseLost), keeper.interruptible(interrupted.set):
            assert steal(store, app).recovers
            assert interrupted.wait(5)
        with pytest.raises(LeaseLost):
            keeper.check()


def test_a_lost_lease_goes_before_a_cancel(store: Store, app: App) -> None:
    """Who lost it may not even say that the operation was cancelled."""
    keeper = LeaseKeeper(store.operations, take(store, app, seconds=LONG), seconds=LONG)
    keeper._cancelled.set()
    keeper._lost.set()
    with pytest.raises(LeaseLost):
        keeper.check()


def test_the_operations_own_end_is_no_lost_lease(store: Store, app: App) -> None:
    lease = take(store, app, seconds=SHORT)
    keeper = LeaseKeeper(store.operations, lease, seconds=SHORT)
    with keeper.keeping():
        store.operations.finish(lease, Ending(OperationStatus.FAILED, ""))
    keeper.check()


def test_a_worker_that_slept_past_its_lease_asks_before_it_touches_anything(
    store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own threads, frozen as well, have not noticed yet: none runs here."""
    lease = take(store, app, seconds=SHORT)
    keeper = LeaseKeeper(store.operations, lease, seconds=SHORT)
    steal(store, app)
    keeper.hold()  # within the time it may trust
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) + SHORT
    monkeypatch.setattr("worker.lease_keeper._now", lambda: slept)
    with pytest.raises(LeaseLost):
        keeper.hold()


class _Away:
    """A store that does not answer at first."""

    def __init__(self) -> None:
        self.renewals = 0
        self.back = threading.Event()

    def renew(self, _lease: Lease, *, seconds: float) -> None:
        assert seconds == SHORT
        self.renewals += 1
        if self.renewals <= 2:
            raise StoreUnavailable("away")
        self.back.set()

    def wait_for_control(self, _operation_id: int, *, seconds: float) -> bool:
        return threading.Event().wait(min(seconds, 0.01))

    def stop_waiting_for_control(self, _operation_id: int) -> None:
        raise StoreUnavailable("away again")


def test_a_store_that_is_away_ends_nothing() -> None:
    away = _Away()
    keeper = LeaseKeeper(away, Lease(1, 1, "1", recovers=False), seconds=SHORT)  # type: ignore[arg-type]
    with keeper.keeping(), keeper.interruptible(lambda: pytest.fail("interrupted")):
        assert away.back.wait(5)
    keeper.check()
