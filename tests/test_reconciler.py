"""What nobody looks after, with a real Redis (DESIGN 4, invariant 3)."""

import asyncio
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from full_redis import full
from rq import Queue
from rq.serializers import JSONSerializer

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.settings import Settings
from enclave.store import Store, keys
from enclave.store.leases import Ending, Lease
from enclave.store.wakeups import QUEUE_NAME
from receiver.reconciler import reconcile, reconcile_forever
from testbed.processes import wait_until

RQ = f"rq:queue:{QUEUE_NAME}"
ENDED = Ending(OperationStatus.FAILED, "")


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


def submit(store: Store, app: App) -> int:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
    return store.operations.submit(request, Changes()).id


def wakeups(store: Store) -> int:
    return int(store.database.raw.llen(RQ))


def lose_wakeups(store: Store) -> None:
    store.database.raw.delete(RQ)


def let_time_pass(store: Store, app: App) -> None:
    """Make now the moment at which somebody must have looked at the app."""
    store.database.raw.zadd(keys.DUE, {str(app.id): 1}, xx=True)


@pytest.mark.usefixtures("app")
def test_with_nothing_to_do(store: Store) -> None:
    assert reconcile(store) == 0
    assert wakeups(store) == 0


def test_a_wake_up_that_is_on_its_way_is_left_alone(store: Store, app: App) -> None:
    submit(store, app)
    assert reconcile(store) == 0
    assert wakeups(store) == 1


def test_a_lost_wake_up_is_repeated_once_each_time_it_is_overdue(store: Store, app: App) -> None:
    submit(store, app)
    lose_wakeups(store)
    for _ in range(2):
        let_time_pass(store, app)
        assert reconcile(store) == 1
        assert wakeups(store) == 1
        assert reconcile(store) == 0
        lose_wakeups(store)


def test_an_app_whose_wake_up_still_waits_is_looked_at_later(store: Store, app: App) -> None:
    """All workers are busy: another wake-up would only be in the way."""
    environment = store.apps.environment(app.environment_id)
    other = store.apps.create(environment, "other")
    for each in (app, other):
        submit(store, each)
    assert store.wakeups.waiting() == {app.id, other.id}
    for _ in range(3):
        let_time_pass(store, app)
        assert reconcile(store) == 0
        assert wakeups(store) == 2
        assert store.due.overdue() == []
    lose_wakeups(store)
    store.wakeups.wake(other.id)
    for each in (app, other):
        let_time_pass(store, each)
    assert reconcile(store) == 1
    assert store.wakeups.waiting() == {app.id, other.id}


def test_a_full_store_keeps_no_app_from_its_turn(store: Store, app: App) -> None:
    """One whose wake-up waits is put off; one whose wake-up was lost gets another."""
    other = store.apps.create(store.apps.environment(app.environment_id), "other")
    for each in (app, other):
        submit(store, each)
    lose_wakeups(store)
    store.wakeups.wake(app.id)
    for each in (app, other):
        let_time_pass(store, each)
    with full(store):
        assert reconcile(store) == 1
        assert store.due.overdue() == []
    assert store.wakeups.waiting() == {app.id, other.id}


def test_a_wake_up_is_waited_for_until_a_worker_takes_it(
    store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.wakeups.waiting() == set()
    digits_first = uuid.UUID("87282819-1111-1111-1111-111111111111")
    monkeypatch.setattr("uuid.uuid4", lambda: digits_first)
    store.wakeups.ask_for_sweep(rest_seconds=60)  # for no app
    submit(store, app)
    assert store.wakeups.waiting() == {app.id}
    queue = Queue(QUEUE_NAME, connection=store.database.raw, serializer=JSONSerializer)
    for job in queue.get_job_ids():
        queue.remove(job)
    assert store.wakeups.waiting() == set()


def test_an_app_that_is_idle_by_now_is_not_put_on_the_list_by_postponing(
    store: Store, app: App
) -> None:
    store.due.postpone(app.id)
    assert store.due.next_in() is None


def test_every_overdue_app_is_woken(store: Store, app: App) -> None:
    environment = store.apps.environment(app.environment_id)
    other, idle = (store.apps.create(environment, handle) for handle in ("other", "idle"))
    for each in (app, other):
        submit(store, each)
        let_time_pass(store, each)
    lose_wakeups(store)
    assert reconcile(store) == 2
    assert wakeups(store) == 2
    assert store.database.raw.zscore(keys.DUE, str(idle.id)) is None


def test_a_lease_that_is_kept_is_left_alone(store: Store, app: App) -> None:
    submit(store, app)
    lease = store.leases.take(app.id, holder="w", seconds=0.5)
    assert lease is not None
    lose_wakeups(store)
    store.leases.renew(lease, seconds=60)
    until = time.monotonic() + 0.6
    wait_until(lambda: time.monotonic() > until, seconds=5, what="time stands still")
    assert reconcile(store) == 0
    assert wakeups(store) == 0


def test_a_lease_that_ran_out_is_handed_on(store: Store, app: App) -> None:
    operation = submit(store, app)
    dead = store.leases.take(app.id, holder="dead", seconds=0.1)
    assert dead is not None
    assert not dead.recovers
    lose_wakeups(store)
    wait_until(lambda: reconcile(store) == 1, seconds=5, what="the dead worker was not missed")
    assert wakeups(store) == 1
    found: list[Lease] = []

    def taken() -> bool:
        lease = store.leases.take(app.id, holder="living", seconds=0.1)
        found.extend([lease] if lease else [])
        return bool(found)

    wait_until(taken, seconds=5, what="the lease was not handed on")
    assert (found[0].operation_id, found[0].recovers) == (operation, True)
    assert found[0].fence != dead.fence


def test_what_ended_needs_nothing(store: Store, app: App) -> None:
    submit(store, app)
    lease = store.leases.take(app.id, holder="w", seconds=60)
    assert lease is not None
    store.leases.finish(lease, ENDED)
    lose_wakeups(store)
    let_time_pass(store, app)
    assert reconcile(store) == 0
    assert wakeups(store) == 0


def test_an_app_that_is_due_and_idle_wakes_nobody_and_is_forgotten(store: Store, app: App) -> None:
    store.database.raw.zadd(keys.DUE, {str(app.id): 1})
    reconcile(store)
    assert wakeups(store) == 0
    assert store.database.raw.zcard(keys.DUE) == 0


def test_what_waits_behind_an_operation_that_ended_is_not_lost(store: Store, app: App) -> None:
    submit(store, app)
    second = submit(store, app)
    lease = store.leases.take(app.id, holder="w", seconds=60)
    assert lease is not None
    store.leases.finish(lease, ENDED)
    lose_wakeups(store)
    let_time_pass(store, app)
    assert reconcile(store) == 1
    assert wakeups(store) == 1
    lease = store.leases.take(app.id, holder="w2", seconds=60)
    assert lease is not None
    assert (lease.operation_id, lease.recovers) == (second, False)


def test_it_sweeps_once_and_then_looks_around_for_good(
    store: Store, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.reconciler._PERIOD_SECONDS", 0.01)
    settings = Settings(data=tmp_path)
    left = settings.repositories / "1.git" / "objects" / "incoming-1"
    left.mkdir(parents=True)
    os.utime(left, (1, 1))
    submit(store, app)

    async def watch() -> None:
        watching = asyncio.create_task(reconcile_forever(store, settings))
        for _ in range(2):
            lose_wakeups(store)
            let_time_pass(store, app)
            async with asyncio.timeout(5):
                while wakeups(store) == 0:
                    await asyncio.sleep(0.01)
        assert not left.exists()
        watching.cancel()

    asyncio.run(watch())


def test_it_outlives_whatever_a_round_raises(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.reconciler._PERIOD_SECONDS", 0.01)
    monkeypatch.setattr("receiver.reconciler._SWEEP_SECONDS", 0.01)
    rounds: list[str] = []

    def failing(name: str) -> Callable[[object], int]:
        def fail(_of: object) -> int:
            rounds.append(name)
            raise OSError(name)

        return fail

    monkeypatch.setattr("receiver.reconciler.sweep", failing("sweep"))
    monkeypatch.setattr("receiver.reconciler.reconcile", failing("reconcile"))

    async def watch() -> None:
        watching = asyncio.create_task(reconcile_forever(store, Settings(data=tmp_path)))
        async with asyncio.timeout(5):
            while rounds.count("sweep") < 2 or rounds.count("reconcile") < 2:
                await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(watch())
