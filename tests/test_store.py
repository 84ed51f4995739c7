"""The store's transitions, each against a real Redis (DESIGN 3.5, 4; invariants 1, 3, 4 and 6)."""

import asyncio
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import redis
from full_redis import full
from rq import Queue
from rq.serializers import JSONSerializer

from enclave.app import App, AppSecrets, AppState, AppStatus
from enclave.changes import Changes
from enclave.credentials import RegistryCredentials
from enclave.errors import Conflict, LeaseLost, NotFound, Unauthenticated
from enclave.operation import (
    ZERO_ID,
    OperationRequest,
    OperationStatus,
    OperationType,
    RefUpdate,
    Source,
)
from enclave.people import Role, User
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from enclave.store import keys as store_keys
from enclave.store.database import connection_of_worker
from enclave.store.leases import Ending, Lease
from enclave.store.pushes import PushOutcome, PushRequest
from enclave.store.wakeups import JOB, QUEUE_NAME
from enclave.tokens import issue_token
from testbed.processes import wait_until

A, B, C = "a" * 40, "b" * 40, "c" * 40
MASTER = "refs/heads/master"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK me@home"
SUCCEEDED = Ending(OperationStatus.SUCCEEDED, "", state=AppState("nginx"), secrets=AppSecrets())
FAILED = Ending(OperationStatus.FAILED, "it broke")


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


@pytest.fixture
def user(store: Store) -> User:
    return store.people.create_user("me@example.com", "correct horse")


def update(ref: str, old: str, new: str) -> RefUpdate:
    return RefUpdate(ref, old, new, None if new == ZERO_ID else PushedConfig(new, "web: run"))


def move(ref: str, old: str, new: str) -> RefUpdate:
    return update(f"refs/heads/{ref}", old, new)


def request(app: App, *reserved: RefUpdate) -> OperationRequest:
    return OperationRequest(
        app_id=app.id,
        type=OperationType.DEPLOY,
        user_id=1,
        user_email="me@example.com",
        source=Source.COMMIT if reserved else Source.KEEP,
        pushed=reserved[0].config if reserved else None,
        reserved=reserved,
    )


def push(
    store: Store,
    app: App,
    *immediate: RefUpdate,
    deploy: Sequence[RefUpdate] = (),
    atomic: bool = False,
    seen: str | None = None,
    push_id: str = "",
) -> PushOutcome:
    if deploy and seen is None:
        seen = store.pushes.view(app.id).reservations.get(MASTER, "")
    return store.pushes.accept(
        PushRequest(
            push_id=push_id or uuid.uuid4().hex,
            app_id=app.id,
            atomic=atomic,
            immediate=immediate,
            operation=request(app, *deploy) if deploy else None,
            deploy_ref=MASTER if deploy else "",
            seen=seen or "",
        )
    )


def take(store: Store, app: App, *, holder: str = "w1", seconds: float = 60) -> Lease:
    lease = store.leases.take(app.id, holder=holder, seconds=seconds)
    assert lease is not None
    return lease


def heir(store: Store, app: App, *, seconds: float) -> Lease:
    """Take over the app's lease as soon as it counts as lost."""
    found: list[Lease] = []

    def taken() -> bool:
        lease = store.leases.take(app.id, holder="heir", seconds=seconds)
        found.extend([lease] if lease else [])
        return bool(found)

    wait_until(taken, seconds=5, what="the lease was not given to another")
    return found[0]


def wakeups(store: Store) -> int:
    return int(store.database.raw.llen(f"rq:queue:{QUEUE_NAME}"))


class TestPushesThatDeployNothing:
    def test_a_new_branch_is_stored_with_its_config(self, store: Store, app: App) -> None:
        outcome = push(store, app, move("a", ZERO_ID, A))
        assert outcome == PushOutcome({"refs/heads/a": "ok"})
        assert store.pushes.refs(app.id) == {"refs/heads/a": A}
        assert store.pushes.config(app.id, "refs/heads/a") == PushedConfig(A, "web: run")
        assert wakeups(store) == 0

    def test_an_app_that_was_deprovisioned_meanwhile_takes_nothing(
        self, store: Store, app: App
    ) -> None:
        store.operations.submit(request(app), Changes())
        ending = replace(SUCCEEDED, state=AppState(), deprovisions=True)
        store.leases.finish(take(store, app), ending)
        outcome = push(store, app, move("a", ZERO_ID, A), deploy=[move("master", ZERO_ID, A)])
        assert set(outcome.verdicts.values()) == {"gone"}
        assert outcome.operation_id is None
        assert store.pushes.view(app.id).refs == {}

    def test_an_old_value_that_is_not_the_stored_one_is_stale(self, store: Store, app: App) -> None:
        push(store, app, move("a", ZERO_ID, A))
        for old in (ZERO_ID, C):
            assert push(store, app, move("a", old, B)).verdicts == {"refs/heads/a": "stale"}
        assert store.pushes.refs(app.id) == {"refs/heads/a": A}

    def test_deleting_a_branch_deletes_its_config(self, store: Store, app: App) -> None:
        push(store, app, move("a/b", ZERO_ID, A))
        assert push(store, app, move("a/b", A, ZERO_ID)).verdicts == {"refs/heads/a/b": "ok"}
        assert store.pushes.refs(app.id) == {}
        assert store.pushes.config(app.id, "refs/heads/a/b") is None
        assert push(store, app, move("a", ZERO_ID, A)).verdicts == {"refs/heads/a": "ok"}

    @pytest.mark.parametrize(
        ("stored", "pushed", "conflict"),
        [
            ("a", "a/b", "refs/heads/a"),
            ("a", "a/b/c", "refs/heads/a"),
            ("a/b", "a", "refs/heads/a/"),
            ("a/b/c", "a", "refs/heads/a/"),
        ],
    )
    def test_a_branch_cannot_be_the_directory_of_another(
        self, store: Store, app: App, stored: str, pushed: str, conflict: str
    ) -> None:
        push(store, app, move(stored, ZERO_ID, A))
        verdicts = push(store, app, move(pushed, ZERO_ID, B)).verdicts
        assert verdicts == {f"refs/heads/{pushed}": f"conflict {conflict}"}

    def test_a_similar_name_is_no_directory(self, store: Store, app: App) -> None:
        push(store, app, move("a", ZERO_ID, A))
        assert push(store, app, move("ab/c", ZERO_ID, B)).verdicts == {"refs/heads/ab/c": "ok"}

    def test_each_ref_is_judged_alone(self, store: Store, app: App) -> None:
        outcome = push(store, app, move("a", B, C), move("b", ZERO_ID, B), move("b/c", ZERO_ID, B))
        assert outcome.verdicts["refs/heads/a"] == "stale"
        assert outcome.verdicts["refs/heads/b"] == "ok"
        assert outcome.verdicts["refs/heads/b/c"] == "conflict refs/heads/b"
        assert store.pushes.refs(app.id) == {"refs/heads/b": B}

    def test_atomic_is_all_or_none(self, store: Store, app: App) -> None:
        outcome = push(store, app, move("a", B, C), move("b", ZERO_ID, B), atomic=True)
        assert outcome.verdicts == {"refs/heads/a": "stale", "refs/heads/b": "ok"}
        assert store.pushes.refs(app.id) == {}
        push(store, app, move("a", ZERO_ID, A), move("b", ZERO_ID, B), atomic=True)
        assert store.pushes.refs(app.id) == {"refs/heads/a": A, "refs/heads/b": B}

    @pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a")])
    def test_an_atomic_push_cannot_conflict_with_itself(
        self, store: Store, app: App, first: str, second: str
    ) -> None:
        outcome = push(store, app, move(first, ZERO_ID, A), move(second, ZERO_ID, B), atomic=True)
        assert outcome.verdicts[f"refs/heads/{second}"] == f"conflict refs/heads/{first}"
        assert store.pushes.refs(app.id) == {}

    def test_asked_again_it_answers_the_same_and_does_nothing(self, store: Store, app: App) -> None:
        first = push(store, app, move("a", ZERO_ID, A), push_id="p1")
        push(store, app, move("a", A, B))
        assert push(store, app, move("a", ZERO_ID, A), push_id="p1") == first
        assert store.pushes.refs(app.id) == {"refs/heads/a": B}

    def test_of_32_racing_pushers_one_is_told_ok(self, store: Store, app: App) -> None:
        push(store, app, move("a", ZERO_ID, A))
        barrier = threading.Barrier(32)

        def race(number: int) -> str:
            barrier.wait()
            new = f"{number:040x}"
            return push(store, app, move("a", A, new)).verdicts["refs/heads/a"]

        with ThreadPoolExecutor(32) as pool:
            told = list(pool.map(race, range(1, 33)))
        assert sorted(told) == ["ok", *["stale"] * 31]
        assert store.pushes.refs(app.id) == {"refs/heads/a": f"{told.index('ok') + 1:040x}"}


class TestPushesThatDeploy:
    def test_the_branch_moves_when_the_operation_succeeds(self, store: Store, app: App) -> None:
        outcome = push(store, app, deploy=[move("master", ZERO_ID, A)])
        assert outcome.verdicts == {MASTER: "ok"}
        assert outcome.operation_id is not None
        assert store.pushes.refs(app.id) == {}
        assert store.pushes.view(app.id).reserved(MASTER)[0].operation_id == outcome.operation_id
        assert wakeups(store) == 1
        store.leases.finish(take(store, app), SUCCEEDED)
        assert store.pushes.refs(app.id) == {MASTER: A}
        assert store.pushes.config(app.id, MASTER) == PushedConfig(A, "web: run")
        assert store.pushes.view(app.id).reservations == {}

    def test_it_stays_when_the_operation_fails(self, store: Store, app: App) -> None:
        push(store, app, deploy=[move("master", ZERO_ID, A)])
        store.leases.finish(take(store, app), FAILED)
        assert store.pushes.refs(app.id) == {}
        assert store.pushes.view(app.id).reservations == {}

    def test_the_wake_up_is_a_job_of_rq_without_pickle(self, store: Store, app: App) -> None:
        push(store, app, deploy=[move("master", ZERO_ID, A)])
        (queue,) = Queue.all(connection=store.database.raw, serializer=JSONSerializer)
        (job,) = queue.jobs
        assert (queue.name, job.func_name, job.args) == (QUEUE_NAME, JOB, [app.id])
        assert job.timeout == -1

    def test_a_reserved_branch_is_refused_to_others(self, store: Store, app: App) -> None:
        first = push(store, app, deploy=[move("master", ZERO_ID, A)])
        outcome = push(store, app, move("master", ZERO_ID, B))
        assert outcome.verdicts == {MASTER: f"reserved {first.operation_id}"}

    @pytest.mark.parametrize("branch", ["master/x", "master/x/y"])
    def test_a_reserved_branch_is_no_directory(self, store: Store, app: App, branch: str) -> None:
        push(store, app, deploy=[move("master", ZERO_ID, A)])
        verdicts = push(store, app, move(branch, ZERO_ID, B)).verdicts
        assert verdicts == {f"refs/heads/{branch}": f"conflict {MASTER}"}

    def test_nor_is_the_one_this_push_reserves(self, store: Store, app: App) -> None:
        outcome = push(
            store, app, move("master/x", ZERO_ID, B), deploy=[move("master", ZERO_ID, A)]
        )
        assert outcome.verdicts == {MASTER: "ok", "refs/heads/master/x": f"conflict {MASTER}"}
        assert store.pushes.refs(app.id) == {}

    def test_below_a_reserved_branch_of_an_atomic_push_nothing_grows(
        self, store: Store, app: App
    ) -> None:
        updates = [move("master", ZERO_ID, A), move("a/b", ZERO_ID, B)]
        push(store, app, deploy=updates, atomic=True)
        outcome = push(store, app, move("a", ZERO_ID, C), move("a/b/c", ZERO_ID, C))
        assert set(outcome.verdicts.values()) == {"conflict refs/heads/a/b"}

    def test_what_the_hooks_saw_must_still_hold(self, store: Store, app: App) -> None:
        push(store, app, deploy=[move("master", ZERO_ID, A)])
        outcome = push(
            store, app, move("a", ZERO_ID, C), deploy=[move("master", ZERO_ID, B)], seen=""
        )
        assert outcome == PushOutcome(judge_again=True)
        assert store.pushes.refs(app.id) == {}
        assert len(store.operations.unfinished(app.id)) == 1

    def test_a_second_deploy_queues_behind_and_wakes_nobody(self, store: Store, app: App) -> None:
        first = push(store, app, deploy=[move("master", ZERO_ID, A)])
        second = push(store, app, deploy=[move("master", ZERO_ID, B)])
        held = store.pushes.view(app.id).reserved(MASTER)
        assert [(r.operation_id, r.commit) for r in held] == [
            (first.operation_id, A),
            (second.operation_id, B),
        ]
        assert wakeups(store) == 1
        store.leases.finish(take(store, app), FAILED)
        assert wakeups(store) == 2
        assert take(store, app).operation_id == second.operation_id

    def test_the_later_one_moves_the_branch_from_wherever_it_is(
        self, store: Store, app: App
    ) -> None:
        push(store, app, deploy=[move("master", ZERO_ID, A)])
        push(store, app, deploy=[move("master", ZERO_ID, B)])
        for expected in (A, B):
            store.leases.finish(take(store, app, holder=expected), SUCCEEDED)
            assert store.pushes.refs(app.id) == {MASTER: expected}

    def test_a_stale_deploy_leaves_no_operation_but_the_other_refs_move(
        self, store: Store, app: App
    ) -> None:
        outcome = push(store, app, move("a", ZERO_ID, C), deploy=[move("master", B, A)])
        assert outcome == PushOutcome({MASTER: "stale", "refs/heads/a": "ok"})
        assert store.operations.unfinished(app.id) == []
        assert wakeups(store) == 0

    def test_an_atomic_deploy_reserves_every_ref(self, store: Store, app: App) -> None:
        updates = [move("master", ZERO_ID, A), move("a", ZERO_ID, B)]
        outcome = push(store, app, deploy=updates, atomic=True)
        assert push(store, app, move("a", ZERO_ID, C)).verdicts == {
            "refs/heads/a": f"reserved {outcome.operation_id}"
        }
        store.leases.finish(take(store, app), SUCCEEDED)
        assert store.pushes.refs(app.id) == {MASTER: A, "refs/heads/a": B}

    def test_an_atomic_deploy_with_one_stale_ref_is_none(self, store: Store, app: App) -> None:
        updates = [move("master", ZERO_ID, A), move("a", C, B)]
        outcome = push(store, app, deploy=updates, atomic=True)
        assert outcome == PushOutcome({MASTER: "ok", "refs/heads/a": "stale"})
        assert store.pushes.view(app.id).reservations == {}

    def test_asked_again_it_names_the_first_operation(self, store: Store, app: App) -> None:
        deploy = [move("master", ZERO_ID, A)]
        first = push(store, app, deploy=deploy, push_id="p1")
        assert push(store, app, deploy=deploy, push_id="p1", seen="") == first
        assert [each.id for each in store.operations.unfinished(app.id)] == [first.operation_id]
        assert wakeups(store) == 1


class TestQueueAndLease:
    def test_an_operation_waits_runs_and_ends(self, store: Store, app: App) -> None:
        waiting = store.operations.submit(request(app), Changes(image="nginx"))
        assert waiting.status is OperationStatus.QUEUED
        assert wakeups(store) == 1
        lease = take(store, app)
        assert (lease.operation_id, lease.recovers) == (waiting.id, False)
        running = store.operations.operation(waiting.id)
        assert running.status is OperationStatus.RUNNING
        assert running.started_at is not None
        store.leases.finish(lease, SUCCEEDED)
        assert store.operations.operation(waiting.id).status is OperationStatus.SUCCEEDED
        assert store.leases.take(app.id, holder="w1", seconds=60) is None
        assert store.apps.app(app.id).status is AppStatus.PROVISIONED
        assert store.apps.app(app.id).state == AppState("nginx")

    def test_one_at_a_time_in_order(self, store: Store, app: App) -> None:
        ids = [store.operations.submit(request(app), Changes()).id for _ in range(3)]
        for expected in ids:
            lease = take(store, app, holder=str(expected))
            assert lease.operation_id == expected
            assert store.leases.take(app.id, holder="other", seconds=60) is None
            store.leases.finish(lease, FAILED)

    def test_of_16_racing_workers_one_gets_the_lease(self, store: Store, app: App) -> None:
        store.operations.submit(request(app), Changes())
        barrier = threading.Barrier(16)

        def race(number: int) -> Lease | None:
            barrier.wait()
            return store.leases.take(app.id, holder=str(number), seconds=60)

        with ThreadPoolExecutor(16) as pool:
            leases = list(pool.map(race, range(16)))
        assert sum(lease is not None for lease in leases) == 1

    def test_taken_again_by_the_same_holder_it_is_the_same_lease(
        self, store: Store, app: App
    ) -> None:
        store.operations.submit(request(app), Changes())
        assert take(store, app) == take(store, app)

    def test_a_lease_that_ran_out_while_nobody_could_write_is_kept_by_who_renews_it(
        self, store: Store, app: App
    ) -> None:
        """As after a Redis that was away or read-only: whoever comes first, nothing is lost."""
        store.operations.submit(request(app), Changes())
        lease = take(store, app, holder="living", seconds=0.001)
        wait_until(lambda: store.due.overdue() == [app.id], seconds=5, what="overdue")
        for _ in range(3):
            assert store.leases.take(app.id, holder="other", seconds=60) is None
            store.leases.renew(lease, seconds=0.001)
            wait_until(lambda: store.due.overdue() == [app.id], seconds=5, what="overdue")
        assert heir(store, app, seconds=0.2).recovers

    def test_a_lease_that_ran_out_is_taken_over_and_the_old_fence_writes_nothing(
        self, store: Store, app: App
    ) -> None:
        store.operations.submit(request(app), Changes())
        old = take(store, app, holder="dead", seconds=0.001)
        new = heir(store, app, seconds=0.001)
        assert new.recovers
        assert new.operation_id == old.operation_id
        with pytest.raises(LeaseLost):
            store.leases.renew(old, seconds=1)
        with pytest.raises(LeaseLost):
            store.leases.mark(old, "commit")
        with pytest.raises(LeaseLost):
            store.logs.append(old, ["a ghost"])
        with pytest.raises(LeaseLost):
            store.leases.finish(old, SUCCEEDED)
        assert store.leases.point(new.operation_id) == ""
        assert store.apps.app(app.id).status is AppStatus.PENDING
        store.leases.renew(new, seconds=60)
        assert store.due.overdue() == []
        store.leases.finish(new, FAILED)

    def test_after_redis_starts_no_lease_is_lost_for_one_lease(
        self, store: Store, app: App
    ) -> None:
        store.operations.submit(request(app), Changes())
        take(store, app, holder="dead", seconds=0.001)
        wait_until(lambda: store.due.overdue() == [app.id], seconds=5, what="overdue")
        # This Redis has been up for far less than a month.
        assert store.leases.take(app.id, holder="heir", seconds=30 * 86400) is None

    def test_finishing_twice_is_once(self, store: Store, app: App) -> None:
        store.operations.submit(request(app), Changes())
        lease = take(store, app)
        store.leases.finish(lease, SUCCEEDED)
        store.leases.finish(lease, SUCCEEDED)
        assert [e.end for e in store.logs.follow(lease.operation_id, silence=1) if e] == [
            OperationStatus.SUCCEEDED
        ]

    def test_a_failed_operation_changes_nothing_of_the_app(self, store: Store, app: App) -> None:
        store.operations.submit(request(app), Changes(image="nginx"))
        before = store.apps.app(app.id)
        store.leases.finish(take(store, app), replace(SUCCEEDED, status=OperationStatus.FAILED))
        assert store.apps.app(app.id) == before
        assert store.apps.secrets(app.id) == AppSecrets()

    def test_what_waits_is_counted_in(self, store: Store, app: App) -> None:
        store.operations.submit(request(app), Changes(image="nginx"))
        store.operations.submit(request(app), Changes(environment={"A": "1"}))
        assert store.projected(app).image == "nginx"
        store.leases.finish(take(store, app), FAILED)
        assert store.projected(app).image is None

    def test_an_operation_without_an_answered_wake_up_is_overdue(
        self, store: Store, app: App
    ) -> None:
        store.operations.submit(request(app), Changes())
        store.database.raw.zadd(store_keys.DUE, {str(app.id): 1})
        assert store.due.overdue() == [app.id]
        store.wakeups.wake(app.id)
        assert wakeups(store) == 2
        assert store.due.overdue() == []


class TestCancelling:
    def test_a_waiting_one_ends_at_once(self, store: Store, app: App, user: User) -> None:
        waiting = push(store, app, deploy=[move("master", ZERO_ID, A)])
        assert waiting.operation_id is not None
        operation = store.operations.operation(waiting.operation_id)
        assert store.operations.cancel(operation, by=user) == "cancelled"
        ended = store.operations.operation(operation.id)
        assert (ended.status, ended.cancelled) == (OperationStatus.FAILED, True)
        assert store.pushes.view(app.id).reservations == {}
        assert store.leases.take(app.id, holder="w1", seconds=60) is None
        log = [e.line or e.end for e in store.logs.follow(operation.id, silence=1) if e]
        assert log == ["ERROR: Cancelled by me@example.com.", OperationStatus.FAILED]

    def test_a_running_one_is_told(self, store: Store, app: App, user: User) -> None:
        operation = store.operations.submit(request(app), Changes())
        lease = take(store, app)
        assert not store.operations.wait_for_control(operation.id, seconds=0.01)
        assert store.operations.cancel(operation, by=user) == "cancelling"
        assert store.operations.cancel(operation, by=user) == "cancelling"
        assert store.operations.wait_for_control(operation.id, seconds=1)
        assert store.operations.wait_for_control(operation.id, seconds=0.01)  # it stays cancelled
        store.leases.finish(lease, replace(FAILED, cancelled=True))
        assert store.operations.cancel(operation, by=user) == "ended"

    def test_the_ones_behind_run_all_the_same(self, store: Store, app: App, user: User) -> None:
        first = store.operations.submit(request(app), Changes())
        second = store.operations.submit(request(app), Changes())
        store.operations.cancel(first, by=user)
        assert take(store, app).operation_id == second.id


class TestLogs:
    def test_a_follower_sees_every_line_and_the_end(self, store: Store, app: App) -> None:
        operation = store.operations.submit(request(app), Changes())
        lease = take(store, app)
        store.logs.append(lease, ["one", "two"])
        follower = store.logs.follow(operation.id, silence=10)
        seen = [next(follower), next(follower)]
        store.logs.append(lease, ["", "ünï\x1b[0m"])
        store.leases.finish(lease, FAILED)
        seen += list(follower)
        assert [e.line for e in seen if e] == [
            "one",
            "two",
            "",
            "ünï\x1b[0m",
            "ERROR: it broke",
            "",
        ]
        assert seen[-1] is not None
        assert seen[-1].end is OperationStatus.FAILED

    def test_silence_is_told(self, store: Store, app: App) -> None:
        operation = store.operations.submit(request(app), Changes())
        assert next(store.logs.follow(operation.id, silence=0.02)) is None

    def test_more_follow_than_redis_py_allows_by_default(self, store: Store, app: App) -> None:
        operation = store.operations.submit(request(app), Changes())
        lease = take(store, app)
        with ThreadPoolExecutor(120) as pool:
            followers = [
                pool.submit(lambda: list(store.logs.follow(operation.id, silence=5)))
                for _ in range(120)
            ]
            store.leases.finish(lease, FAILED)
            last = [follower.result(timeout=30)[-1] for follower in followers]
        assert {entry.end for entry in last if entry} == {OperationStatus.FAILED}


class TestConnections:
    def test_none_reads_the_metadata_of_redis_py(
        self, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read() -> str:
            pytest.fail("it costs 2 ms at each connection, and every operation makes several")

        async def ping() -> None:
            async with store.database.asynchronous() as client:
                await client.ping()

        monkeypatch.setattr("redis.utils.get_lib_version", read)
        store.database.redis.ping()
        store.database.raw.ping()
        assert store.database.answers(seconds=10)
        asyncio.run(ping())
        with connection_of_worker(redis_url) as client:
            client.ping()


class TestSecrets:
    SECRETS = ("hunter2-registry", "hunter2-variable", "correct horse", "Tr0ub4dor")

    def test_none_is_in_redis_in_clear(
        self, store: Store, app: App, user: User, redis_url: str
    ) -> None:
        pair = RegistryCredentials("docker.io", "robot", self.SECRETS[0])
        environment = {"KEY": self.SECRETS[1]}
        changes = Changes(image="nginx", credentials=pair, environment=environment)
        store.operations.submit(request(app), changes)
        store.people.create_user("other@example.com", self.SECRETS[3])
        with pytest.raises(Unauthenticated):
            store.people.authenticate(user.email, self.SECRETS[3])
        self._assert_clean(redis_url)
        secrets = AppSecrets(environment, pair)
        store.leases.finish(take(store, app), replace(SUCCEEDED, secrets=secrets))
        assert store.apps.secrets(app.id) == secrets
        self._assert_clean(redis_url)

    def test_an_ended_operation_keeps_no_secret(self, store: Store, app: App) -> None:
        changes = Changes(environment={"KEY": "value"})
        operation = store.operations.submit(request(app), changes)
        assert store.operations.changes(operation.id) == changes
        store.leases.finish(take(store, app), FAILED)
        assert store.operations.changes(operation.id) == Changes()

    def _assert_clean(self, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url) as client:
            # DUMP compresses; reading every value by its type does not.
            readers = {
                b"string": client.get,
                b"hash": client.hgetall,
                b"set": client.smembers,
                b"list": lambda key: client.lrange(key, 0, -1),
                b"zset": lambda key: client.zrange(key, 0, -1),
                b"stream": client.xrange,
            }
            everything = repr([(k, readers[client.type(k)](k)) for k in client.scan_iter()])
        assert "enclave:" in everything
        for secret in self.SECRETS:
            assert secret not in everything


class TestNames:
    def test_a_handle_is_taken_once(self, store: Store, app: App) -> None:
        environment = store.apps.environment(app.environment_id)
        with pytest.raises(Conflict):
            store.apps.create(environment, app.handle)
        with pytest.raises(Conflict):
            store.apps.create_environment("prod")
        assert store.apps.app_by_handle("prod", "web") == app
        assert store.apps.page([environment.id], skip=0, size=9) == ([app], 1)

    def test_a_claim_asked_again_after_a_lost_answer_is_still_ours(self, store: Store) -> None:
        assert store.database.claim("names", "web", 7)
        assert store.database.claim("names", "web", 7)
        assert not store.database.claim("names", "web", 8)

    def test_a_service_keeps_its_number(self, store: Store, app: App) -> None:
        web = store.service_ids.number(app.id, "web")
        worker = store.service_ids.number(app.id, "worker")
        assert web != worker
        assert store.service_ids.number(app.id, "web") == web
        assert store.service_ids.find(worker) == (app.id, "worker")
        with pytest.raises(NotFound):
            store.service_ids.find(worker + 1)


class TestPeople:
    def test_passwords(self, store: Store, user: User) -> None:
        assert store.people.authenticate(" ME@example.com", "correct horse") == user
        told = set()
        for email, password in ((user.email, "wrong"), ("nobody@example.com", "correct horse")):
            with pytest.raises(Unauthenticated) as refused:
                store.people.authenticate(email, password)
            told.add((str(refused.value), refused.value.code))
        assert told == {("The email or the password is wrong.", "invalid_credentials")}

    def test_after_ten_failures_even_the_right_one_waits(self, store: Store, user: User) -> None:
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                store.people.authenticate(user.email, "wrong")
        with pytest.raises(Unauthenticated, match="Too many"):
            store.people.authenticate(user.email, "correct horse")

    def test_a_full_store_counts_failures_too(self, store: Store, user: User) -> None:
        with full(store):
            for _ in range(10):
                with pytest.raises(Unauthenticated):
                    store.people.authenticate(user.email, "wrong")
            with pytest.raises(Unauthenticated, match="Too many"):
                store.people.authenticate(user.email, "correct horse")

    def test_keys(self, store: Store, user: User) -> None:
        other = store.people.create_user("other@example.com", "correct horse")
        key = store.people.add_key(user, KEY)
        assert (key.name, store.people.keys_of(user)) == ("me@home", [key])
        assert store.people.user_by_fingerprint(key.fingerprint) == user
        with pytest.raises(Conflict):
            store.people.add_key(other, KEY)
        with pytest.raises(NotFound):
            store.people.remove_key(other, key.id)
        store.people.remove_key(user, key.id)
        assert store.people.user_by_fingerprint(key.fingerprint) is None
        assert store.people.keys_of(user) == []
        store.people.add_key(other, KEY)

    def test_a_full_store_takes_a_key_and_a_token_away(self, store: Store, user: User) -> None:
        key = store.people.add_key(user, KEY)
        token = issue_token(store, user, url="http://h", seconds=60).record
        with full(store):
            store.people.remove_key(user, key.id)
            store.tokens.revoke(token)
        assert store.people.user_by_fingerprint(key.fingerprint) is None
        assert store.people.keys_of(user) == []
        assert store.tokens.of_user(user) == []

    def test_roles(self, store: Store, app: App, user: User) -> None:
        assert store.people.role(user, app.environment_id) is None
        store.people.set_role(user, app.environment_id, Role.DEPLOY)
        assert store.people.role(user, app.environment_id) is Role.DEPLOY
        assert store.people.environments_of(user) == [app.environment_id]
