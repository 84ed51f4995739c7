"""The ways a lease ends, and that each may be asked for twice, with a real Redis (DESIGN 4)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from enclave.app import App, AppSecrets, AppState
from enclave.changes import Changes
from enclave.errors import LeaseLost, OperationCancelled
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.people import User
from enclave.store import Store, keys
from enclave.store.leases import TIDYING, Ending, Lease
from enclave.store.wakeups import QUEUE_NAME
from testbed.processes import wait_until

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")
SUCCEEDED = Ending(OperationStatus.SUCCEEDED, "", state=AppState("nginx"), secrets=AppSecrets())
FAILED = Ending(OperationStatus.FAILED, "it broke")
LONG = 60.0


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


@pytest.fixture
def twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every script twice, as a client does whose first answer was lost."""
    run = store.database.run

    def run_twice(*arguments: object) -> object:
        run(*arguments)  # type: ignore[arg-type]
        return run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store.database, "run", run_twice)


def submit(store: Store, app: App) -> int:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email)
    return store.operations.submit(request, Changes()).id


def take(store: Store, app: App, *, holder: str = "w1", seconds: float = LONG) -> Lease:
    lease = store.leases.take(app.id, holder=holder, seconds=seconds)
    assert lease is not None
    return lease


def lose(store: Store, app: App) -> Lease:
    """Let the lease run out, and return the one that another worker then gets."""
    found: list[Lease] = []

    def taken() -> bool:
        store.database.redis.hset(keys.lease(app.id), "expires", 1)
        lease = store.leases.take(app.id, holder="heir", seconds=1)
        found.extend([lease] if lease else [])
        return bool(found)

    wait_until(taken, seconds=5, what="the lease was not given to another")
    return found[0]


def wakeups(store: Store) -> int:
    return int(store.database.raw.llen(f"rq:queue:{QUEUE_NAME}"))


def due_in(store: Store) -> float:
    seconds = store.due.next_in()
    assert seconds is not None
    return seconds


class TestHandingBack:
    def test_the_operation_waits_again_at_the_head_and_somebody_is_woken(
        self, store: Store, app: App
    ) -> None:
        first, second = submit(store, app), submit(store, app)
        lease = take(store, app)
        woken = wakeups(store)

        store.leases.hand_back(lease)

        operation = store.operations.operation(first)
        assert operation.status is OperationStatus.QUEUED
        assert operation.started_at is None
        assert [each.id for each in store.operations.unfinished(app.id)] == [first, second]
        assert wakeups(store) == woken + 1
        again = take(store, app, holder="w2")
        assert (again.operation_id, again.recovers) == (first, False)
        assert again.takes == lease.takes == 1  # nobody vanished over it
        assert again.fence != lease.fence

    @pytest.mark.usefixtures("twice")
    def test_asked_twice_it_is_once(self, store: Store, app: App) -> None:
        submit(store, app)
        woken = wakeups(store)
        store.leases.hand_back(take(store, app))
        assert wakeups(store) == woken + 1
        assert take(store, app, holder="w2").takes == 1

    def test_asked_again_when_another_has_it_the_other_keeps_it(
        self, store: Store, app: App
    ) -> None:
        operation = submit(store, app)
        lease = take(store, app)
        store.leases.hand_back(lease)
        other = take(store, app, holder="w2")
        store.leases.hand_back(lease)
        store.leases.renew(other, seconds=LONG)
        assert store.operations.operation(operation).status is OperationStatus.RUNNING

    def test_a_lost_lease_hands_nothing_back(self, store: Store, app: App) -> None:
        operation = submit(store, app)
        lease = take(store, app)
        heir = lose(store, app)
        with pytest.raises(LeaseLost):
            store.leases.hand_back(lease)
        assert store.operations.operation(operation).status is OperationStatus.RUNNING
        store.leases.renew(heir, seconds=LONG)

    def test_a_cancel_that_came_before_is_not_forgotten(self, store: Store, app: App) -> None:
        operation = store.operations.operation(submit(store, app))
        lease = take(store, app)
        assert store.operations.cancel(operation, by=ANN) == "cancelling"
        store.leases.hand_back(lease)
        assert store.operations.operation(take(store, app, holder="w2").operation_id).cancelled

    def test_what_was_handed_back_can_be_cancelled_where_it_waits(
        self, store: Store, app: App
    ) -> None:
        operation = store.operations.operation(submit(store, app))
        store.leases.hand_back(take(store, app))
        assert store.operations.cancel(operation, by=ANN) == "cancelled"
        assert store.leases.take(app.id, holder="w2", seconds=LONG) is None


class TestACancelBeforeASuccess:
    def test_there_is_no_success_and_the_lease_is_kept_to_undo_it(
        self, store: Store, app: App
    ) -> None:
        operation = store.operations.operation(submit(store, app))
        lease = take(store, app)
        store.operations.cancel(operation, by=ANN)

        with pytest.raises(OperationCancelled):
            store.leases.finish(lease, SUCCEEDED)

        assert store.apps.app(app.id).state == app.state
        assert store.operations.operation(operation.id).status is OperationStatus.RUNNING
        store.leases.renew(lease, seconds=LONG)
        store.leases.finish(lease, FAILED)
        ended = store.operations.operation(operation.id)
        assert (ended.status, ended.cancelled) == (OperationStatus.FAILED, True)

    @pytest.mark.usefixtures("twice")
    def test_after_a_success_it_comes_too_late(self, store: Store, app: App) -> None:
        operation = store.operations.operation(submit(store, app))
        store.leases.finish(take(store, app), SUCCEEDED)
        assert store.operations.cancel(operation, by=ANN) == "ended"
        ended = store.operations.operation(operation.id)
        assert (ended.status, ended.cancelled) == (OperationStatus.SUCCEEDED, False)


class TestTidying:
    def test_an_app_with_nothing_left_behind_is_nobodys_business(
        self, store: Store, app: App
    ) -> None:
        assert store.leases.take(app.id, holder="w", seconds=LONG) is None
        assert store.due.next_in() is None

    def test_a_lease_is_given_for_it_and_ends_it(self, store: Store, app: App) -> None:
        store.leases.untidy(app.id)
        assert wakeups(store) == 1
        lease = take(store, app)
        assert lease.tidies
        assert lease.operation_id == TIDYING
        assert store.leases.take(app.id, holder="other", seconds=LONG) is None
        store.leases.release(lease, tidy=True)
        assert store.leases.take(app.id, holder="other", seconds=LONG) is None
        assert store.due.next_in() is None

    def test_what_is_not_tidy_yet_is_tried_again_later(self, store: Store, app: App) -> None:
        store.leases.untidy(app.id)
        store.leases.release(take(store, app), tidy=False)
        assert 5 < due_in(store) <= 10
        assert wakeups(store) == 1  # not at once: whatever hinders it would still be there
        assert take(store, app, holder="w2").tidies

    def test_an_operation_goes_first(self, store: Store, app: App) -> None:
        store.leases.untidy(app.id)
        operation = submit(store, app)
        assert take(store, app).operation_id == operation

    def test_an_operation_that_comes_meanwhile_waits_and_is_woken(
        self, store: Store, app: App
    ) -> None:
        store.leases.untidy(app.id)
        lease = take(store, app)
        operation = submit(store, app)
        assert store.leases.take(app.id, holder="other", seconds=LONG) is None
        woken = wakeups(store)
        store.leases.release(lease, tidy=True)
        assert wakeups(store) == woken + 1
        assert take(store, app, holder="other").operation_id == operation

    def test_taken_again_by_the_same_holder_it_is_the_same_lease(
        self, store: Store, app: App
    ) -> None:
        store.leases.untidy(app.id)
        first = take(store, app)
        submit(store, app)  # which would go first, had the first answer not been ours
        assert take(store, app) == first

    def test_a_tidier_that_vanished_is_followed_by_another(self, store: Store, app: App) -> None:
        store.leases.untidy(app.id)
        lost = take(store, app)
        assert lose(store, app).tidies
        with pytest.raises(LeaseLost):
            store.leases.release(lost, tidy=True)
        assert store.leases.take(app.id, holder="heir", seconds=1) is not None

    def test_a_success_that_left_some_says_so_until_they_are_gone(
        self, store: Store, app: App
    ) -> None:
        submit(store, app)
        lease = take(store, app)
        store.leases.finish(lease, replace(SUCCEEDED, untidy=True))
        assert due_in(store) > 5  # its worker removes them now
        store.leases.tidied(lease)
        assert store.due.next_in() is None
        assert store.leases.take(app.id, holder="other", seconds=LONG) is None

    def test_what_is_gone_of_an_older_release_says_nothing_of_a_newer_one(
        self, store: Store, app: App
    ) -> None:
        leases = []
        for holder in ("w1", "w2"):
            submit(store, app)
            leases.append(take(store, app, holder=holder))
            store.leases.finish(leases[-1], replace(SUCCEEDED, untidy=True))
        store.leases.tidied(leases[0])
        assert take(store, app, holder="w3").tidies

    @pytest.mark.usefixtures("twice")
    @pytest.mark.parametrize("tidy", [True, False])
    def test_asked_twice_everything_is_once(self, store: Store, app: App, *, tidy: bool) -> None:
        submit(store, app)
        lease = take(store, app)
        store.leases.finish(lease, replace(SUCCEEDED, untidy=True))
        store.leases.tidied(lease)
        assert store.leases.take(app.id, holder="w2", seconds=LONG) is None
        store.leases.untidy(app.id)
        tidying = take(store, app, holder="w2")
        assert tidying.tidies
        with pytest.raises(LeaseLost):  # of the second: the first has freed it
            store.leases.release(tidying, tidy=tidy)
        left = store.leases.take(app.id, holder="w3", seconds=LONG)
        assert (left is None) == tidy

    def test_a_note_of_somebody_elses_outlasts_a_success(self, store: Store, app: App) -> None:
        """What it is about may have come after the operation had looked."""
        submit(store, app)
        lease = take(store, app)
        store.leases.untidy(app.id)
        store.leases.finish(lease, replace(SUCCEEDED, untidy=True))
        store.leases.tidied(lease)
        assert take(store, app, holder="w2").tidies

    def test_a_note_that_came_while_somebody_tidied_is_a_new_one(
        self, store: Store, app: App
    ) -> None:
        store.leases.untidy(app.id)
        lease = take(store, app)
        store.leases.untidy(app.id)
        store.leases.release(lease, tidy=True)
        assert take(store, app, holder="w2").tidies

    def test_a_tidier_that_dies_leaves_no_lease_whoever_took_its_note_away(
        self, store: Store, app: App
    ) -> None:
        submit(store, app)
        lease = take(store, app)
        store.leases.finish(lease, replace(SUCCEEDED, untidy=True))
        assert take(store, app, holder="dies", seconds=0.5).tidies
        store.leases.tidied(lease)  # no: somebody tidies, who takes the note away himself
        store.database.raw.hdel(keys.UNTIDY, str(app.id))  # yet somebody did

        def gone() -> bool:
            store.wakeups.wake(app.id)
            store.leases.take(app.id, holder="heir", seconds=0.5)
            return not store.leases.is_busy(app.id)

        wait_until(gone, seconds=10, what="the lease stayed")

    def test_asked_again_a_lease_is_as_long_as_a_new_one(self, store: Store, app: App) -> None:
        submit(store, app)
        take(store, app, seconds=0.5)
        take(store, app, seconds=LONG)
        assert due_in(store) > LONG / 2


class TestWhenSomebodyLooksAgain:
    def test_a_lease_that_is_taken_or_kept_is_looked_at_when_it_runs_out(
        self, store: Store, app: App
    ) -> None:
        submit(store, app)
        lease = take(store, app, seconds=100)
        assert 99 < due_in(store) <= 100
        store.leases.renew(lease, seconds=200)
        assert 199 < due_in(store) <= 200

    def test_who_finds_it_held_looks_again_at_that_very_time(self, store: Store, app: App) -> None:
        """A wake-up that came too early takes nobody's place, and is not lost."""
        submit(store, app)
        take(store, app, seconds=100)
        store.database.raw.zadd(keys.DUE, {str(app.id): 1})
        assert store.leases.take(app.id, holder="other", seconds=30) is None
        assert 99 < due_in(store) <= 100

    def test_when_all_has_ended_nobody_looks(self, store: Store, app: App) -> None:
        submit(store, app)
        store.leases.finish(take(store, app), FAILED)
        assert store.due.next_in() is None


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize(
    "end",
    [
        lambda store, lease: store.leases.finish(lease, SUCCEEDED),
        lambda store, lease: store.leases.finish(lease, FAILED),
        lambda store, lease: store.leases.hand_back(lease),
    ],
)
def test_an_end_that_was_asked_for_twice_leaves_the_next_operation_alone(
    store: Store, app: App, end: Callable[[Store, Lease], None]
) -> None:
    first, second = submit(store, app), submit(store, app)
    woken = wakeups(store)
    end(store, take(store, app))
    assert wakeups(store) == woken + 1
    left = [each.id for each in store.operations.unfinished(app.id)]
    assert left in ([second], [first, second])
    assert store.operations.operation(second).status is OperationStatus.QUEUED
