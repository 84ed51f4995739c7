"""The keeper of an operation's lease, with a real Redis (DESIGN 4, SPEC 6.7)."""

import threading
import time

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import LeaseLost, StoreUnavailable
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.people import User
from enclave.store import Store, keys
from enclave.store.leases import Ending, Lease
from testbed.processes import wait_until
from worker.lease_keeper import LeaseKeeper
from worker.safe_points import SafePoints

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")
SHORT, LONG = 0.6, 60.0


@pytest.fixture
def app(store: Store) -> App:
    app = store.apps.create(store.apps.create_environment("prod"), "web")
    store.operations.submit(OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email), Changes())
    return app


def take(store: Store, app: App, *, seconds: float, holder: str = "w1") -> Lease:
    lease = store.leases.take(app.id, holder=holder, seconds=seconds)
    assert lease is not None
    return lease


def expires(store: Store, app: App) -> int:
    return int(store.database.redis.hget(keys.lease(app.id), "expires") or 0)


def keeper_of(store: Store, lease: Lease, *, seconds: float) -> LeaseKeeper:
    return LeaseKeeper(store.leases, lease, SafePoints(), seconds=seconds)


def steal(store: Store, app: App) -> Lease:
    """Take the lease as another worker does once it ran out."""
    found: list[Lease] = []

    def stolen() -> bool:
        store.database.redis.hset(keys.lease(app.id), "expires", 1)
        lease = store.leases.take(app.id, holder="thief", seconds=LONG / 1000)
        found.extend([lease] if lease else [])
        return bool(found)

    wait_until(stolen, seconds=5, what="the lease was not given to another")
    return found[0]


def test_it_renews_until_the_block_ends(store: Store, app: App) -> None:
    lease = take(store, app, seconds=SHORT)
    keeper = keeper_of(store, lease, seconds=SHORT)
    with keeper.keeping():
        wanted = expires(store, app) + 2 * SHORT * 1000
        wait_until(lambda: expires(store, app) > wanted, seconds=10, what="it was not renewed")
        assert store.leases.take(app.id, holder="other", seconds=SHORT) is None
        keeper.safe_points.check()
    last = expires(store, app)
    wait_until(lambda: time.time() * 1000 > last, seconds=5, what="time stands still")
    assert expires(store, app) == last


def test_a_lost_lease_stops_what_runs(store: Store, app: App) -> None:
    keeper = keeper_of(store, take(store, app, seconds=SHORT), seconds=SHORT)
    with keeper.keeping():
        assert steal(store, app).recovers
        with pytest.raises(LeaseLost):
            keeper.safe_points.attempt(lambda: threading.Event().wait(10))
        with pytest.raises(LeaseLost):
            keeper.hold()


def test_the_operations_own_end_is_no_lost_lease(store: Store, app: App) -> None:
    lease = take(store, app, seconds=SHORT)
    keeper = keeper_of(store, lease, seconds=SHORT)
    with keeper.keeping():
        store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
    keeper.safe_points.check()


def test_a_worker_that_slept_past_its_lease_asks_before_it_touches_anything(
    store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own threads, frozen as well, have not noticed yet: none runs here."""
    lease = take(store, app, seconds=SHORT)
    keeper = keeper_of(store, lease, seconds=SHORT)
    steal(store, app)
    keeper.hold()  # within the time it may trust
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) + SHORT
    monkeypatch.setattr("worker.lease_keeper.now", lambda: slept)
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


def test_a_store_that_is_away_ends_nothing() -> None:
    away = _Away()
    lease = Lease(1, 1, "1", recovers=False)
    keeper = LeaseKeeper(away, lease, SafePoints(), seconds=SHORT)  # type: ignore[arg-type]
    with keeper.keeping():
        assert away.back.wait(5)
    keeper.safe_points.check()
