"""Operation logs in the store: which are kept, what replaces what, with a real Redis (SPEC 7)."""

from pathlib import Path

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import LeaseLost
from enclave.operation import Operation, OperationRequest, OperationStatus, OperationType
from enclave.people import User
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.store.leases import Ending, Lease

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")
FAILED = Ending(OperationStatus.FAILED, "it broke")


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


@pytest.fixture
def sparing(redis_url: str, tmp_path: Path) -> Store:
    """The store of an installation that keeps three logs an app."""
    return Store(redis_url, Sealer.from_settings("", tmp_path), logs_kept=3)


def submit(store: Store, app: App) -> Operation:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email)
    return store.operations.submit(request, Changes())


def take(store: Store, app: App) -> Lease:
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    return lease


def run(store: Store, app: App) -> int:
    """Have an operation say a line, and end."""
    submit(store, app)
    lease = take(store, app)
    store.logs.append(lease, [f"of {lease.operation_id}"])
    store.leases.finish(lease, FAILED)
    return lease.operation_id


def shown(store: Store, operation_id: int) -> list[str]:
    return [
        f"({entry.line})" if entry.progress else entry.line
        for entry in store.logs.so_far(operation_id)
        if entry.end is None
    ]


class TestWhichAreKept:
    def test_those_of_the_newest_operations_of_each_app(self, sparing: Store, app: App) -> None:
        environment = sparing.apps.environment(app.environment_id)
        other = sparing.apps.create(environment, "other")
        elsewhere = [run(sparing, other) for _ in range(3)]
        ended = [run(sparing, app) for _ in range(5)]
        kept = [number for number in ended if sparing.logs.is_kept(number)]
        assert kept == ended[-3:]
        assert all(sparing.logs.is_kept(number) for number in elsewhere)
        assert shown(sparing, ended[-1]) == [f"of {ended[-1]}", "ERROR: it broke"]
        assert shown(sparing, ended[0]) == []
        assert sparing.operations.operation(ended[0]).message == "it broke"  # the record stays

    def test_one_that_still_runs_is_kept_however_many_end_meanwhile(
        self, sparing: Store, app: App
    ) -> None:
        submit(sparing, app)
        lease = take(sparing, app)
        sparing.logs.append(lease, ["a line"])
        waiting = [submit(sparing, app) for _ in range(5)]
        for operation in waiting:
            assert sparing.operations.cancel(operation, by=ANN) == "cancelled"
        assert shown(sparing, lease.operation_id) == ["a line"]
        sparing.leases.finish(lease, FAILED)
        assert sparing.logs.is_kept(lease.operation_id)
        kept = [each.id for each in waiting if sparing.logs.is_kept(each.id)]
        assert kept == [each.id for each in waiting[-2:]]

    def test_fewer_than_before_once_the_setting_is_lower(
        self, store: Store, sparing: Store, app: App
    ) -> None:
        ended = [run(store, app) for _ in range(6)]
        ended.append(run(sparing, app))
        assert [number for number in ended if store.logs.is_kept(number)] == ended[-3:]


class TestProgress:
    @pytest.fixture
    def lease(self, store: Store, app: App) -> Lease:
        submit(store, app)
        return take(store, app)

    def test_it_is_shown_until_something_follows(self, store: Store, lease: Lease) -> None:
        store.logs.append(lease, ["one"], progress="10%")
        assert shown(store, lease.operation_id) == ["one", "(10%)"]
        store.logs.append(lease, [], progress="20%")
        assert shown(store, lease.operation_id) == ["one", "(20%)"]
        store.logs.append(lease, ["two"])
        assert shown(store, lease.operation_id) == ["one", "two"]

    def test_the_end_leaves_none(self, store: Store, lease: Lease) -> None:
        store.logs.append(lease, [], progress="10%")
        store.leases.finish(lease, FAILED)
        assert shown(store, lease.operation_id) == ["ERROR: it broke"]

    def test_a_line_is_none_whatever_it_says(self, store: Store, lease: Lease) -> None:
        store.logs.append(lease, ["progress", "end", "line"])
        store.logs.append(lease, ["more"])
        assert shown(store, lease.operation_id) == ["progress", "end", "line", "more"]

    def test_a_follower_goes_on_behind_one_that_is_gone(self, store: Store, lease: Lease) -> None:
        store.logs.append(lease, [], progress="10%")
        follower = store.logs.follow(lease.operation_id, silence=5)
        entry = next(follower)
        assert entry is not None
        assert (entry.line, entry.progress) == ("10%", True)
        store.logs.append(lease, ["done"])
        store.leases.finish(lease, FAILED)
        assert [each.line for each in follower if each] == ["done", "ERROR: it broke", ""]

    def test_a_lost_lease_replaces_nothing(self, store: Store, lease: Lease) -> None:
        store.logs.append(lease, [], progress="10%")
        store.leases.hand_back(lease)
        with pytest.raises(LeaseLost):
            store.logs.append(lease, [], progress="20%")
        assert shown(store, lease.operation_id) == ["(10%)"]


def test_a_batch_that_was_sent_twice_is_stored_once(
    store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a client does whose first answer was lost."""
    submit(store, app)
    lease, run_once = take(store, app), store.database.run

    def run_twice(*arguments: object) -> object:
        run_once(*arguments)  # type: ignore[arg-type]
        return run_once(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store.database, "run", run_twice)
    store.logs.append(lease, ["one"], progress="10%")
    store.logs.append(lease, ["one", "two"])
    assert shown(store, lease.operation_id) == ["one", "one", "two"]
