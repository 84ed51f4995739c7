"""worker/operation.py on real Redis: what happens when workers freeze, die or lose their Engine.

The runtime is a double in memory: what is tested is who may touch which container, and when.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from engine_double import hold_up
from full_redis import full
from one_app import ANN, LEASE, OneApp

import worker.log
from enclave.changes import Changes
from enclave.errors import ContainerDied, EngineUnavailable, OperationFailed
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.pushed_config import PushedConfig
from enclave.store import Store, keys
from testbed.processes import wait_until
from worker.lease_keeper import STORE_SECONDS
from worker.redaction import MASK
from worker.runtime import Container, ContainerSpec


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> OneApp:
    platform = OneApp(store, tmp_path)
    platform.deploy("one:1")
    platform.work()
    assert platform.engine.running() == ["id of library/one"]
    return platform


def test_the_last_line_of_the_log_and_the_outcome_are_one(platform: OneApp) -> None:
    operation = platform.deploy("two:1")
    platform.work()
    assert platform.log(operation)[-2:] == ["INFO: Deploy succeeded.", ""]
    assert platform.engine.running() == ["id of library/two"]


def test_tidying_up_leaves_the_next_operation_alone(platform: OneApp) -> None:
    """The lease is free while the old containers go; the next operation may have begun."""
    first = platform.deploy("two:1")
    pushed = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")
    second = platform.deploy(pushed=pushed)
    gone, begun = threading.Event(), threading.Event()
    platform.engine.on["remove", "first"] = lambda: bool(begun.wait(10))
    platform.engine.on["run", "second"] = hold_up(begun, gone)

    one = platform.worker("first")
    wait_until(lambda: platform.status(first).ended, seconds=10, what="the first did not end")
    two = platform.worker("second")
    one.join(10)
    gone.set()
    two.join(10)

    assert platform.status(second) is OperationStatus.SUCCEEDED, platform.log(second)


def test_who_lost_the_lease_removes_nothing_of_the_winners(platform: OneApp) -> None:
    """Both ran the same operation: it had not begun when the first worker froze."""
    operation = platform.deploy("two:1")
    frozen, thaw = threading.Event(), threading.Event()
    platform.engine.on["pull", "loser"] = hold_up(frozen, thaw)
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


def test_who_lost_the_lease_does_not_roll_back_over_a_later_release(platform: OneApp) -> None:
    operation = platform.deploy("two:1")
    later = platform.deploy("three:1")
    frozen, thaw = threading.Event(), threading.Event()
    platform.engine.on["settle", "loser"] = hold_up(frozen, thaw)
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


def test_a_stop_that_was_sent_too_late_is_made_good(
    platform: OneApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loser froze after it had asked for its lease, and before the Engine heard it."""
    operation = platform.deploy("two:1")
    frozen, thaw = threading.Event(), threading.Event()
    stop = platform.engine.stop

    def late(container: Container, *, seconds: float) -> None:
        hold_up(frozen, thaw)()
        stop(container, seconds=seconds)

    monkeypatch.setattr(platform.engine, "stop", late)
    loser = platform.worker("loser")
    assert frozen.wait(10)
    monkeypatch.setattr(platform.engine, "stop", stop)

    def taken_over() -> bool:
        platform.lose_lease()
        platform.worker("winner").join(10)
        return platform.status(operation).ended

    wait_until(taken_over, seconds=20, what="nobody took over")
    assert platform.engine.running() == ["id of library/one"]
    thaw.set()
    loser.join(20)
    assert platform.store.due.next_in() is not None
    platform.work()

    assert platform.engine.running() == ["id of library/one"]


def test_what_a_silent_engine_does_too_late_is_tidied_away(platform: OneApp) -> None:
    """It makes a container after the rollback that was never answered for."""
    operation = platform.deploy("two:1")
    old = set(platform.engine.all)

    def silent() -> None:
        raise EngineUnavailable("The Docker Engine did not answer within 1 s.")

    platform.engine.on["start", "worker"] = silent
    platform.work()
    assert platform.status(operation) is OperationStatus.FAILED
    assert set(platform.engine.all) == old
    (live,) = platform.engine.all.values()
    platform.engine.all["late"] = replace(live, id="late", name="of operation 2")

    platform.work()

    assert set(platform.engine.all) == old


def test_an_engine_that_is_away_for_a_while_gets_the_old_release_back(platform: OneApp) -> None:
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


def test_a_deploy_that_changed_nothing_waits_for_no_engine(platform: OneApp) -> None:
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


def test_a_cancel_that_takes_its_time_does_not_cost_the_lease(platform: OneApp) -> None:
    pushed = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")
    operation = platform.deploy(pushed=pushed)
    running, killed = threading.Event(), threading.Event()
    platform.engine.on["run", "worker"] = hold_up(running, killed)

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


def test_records_that_cannot_be_read_end_the_operation(platform: OneApp) -> None:
    operation = platform.deploy("two:1")
    platform.store.database.redis.hset(keys.operation(operation.id), "sealed", "nonsense")
    platform.work()

    assert platform.status(operation) is OperationStatus.FAILED
    assert platform.deploy("two:1").id
    platform.work()
    assert platform.engine.running() == ["id of library/two"]


def test_what_was_accepted_ends_on_a_full_store(platform: OneApp) -> None:
    operation = platform.deploy("two:1")
    with full(platform.store):
        platform.work()
    assert platform.status(operation) is OperationStatus.SUCCEEDED
    assert platform.engine.running() == ["id of library/two"]
    assert len(platform.engine.all) == 1
    assert platform.store.due.next_in() is None


def test_an_operation_that_kills_its_workers_is_given_up(platform: OneApp) -> None:
    operation = platform.deploy("two:1")
    for number in range(4):
        platform.lose_lease()
        platform.store.leases.take(platform.app.id, holder=f"dies {number}", seconds=LEASE)
    platform.lose_lease()
    platform.work()

    assert platform.status(operation) is OperationStatus.FAILED
    assert "given up" in "\n".join(platform.log(operation))
    assert platform.engine.running() == ["id of library/one"]


def test_a_cancel_while_a_silent_engine_makes_the_container_leaves_a_note(
    platform: OneApp,
) -> None:
    """What was never answered for may be done after the operation has ended."""
    creating = threading.Event()

    def run(_: ContainerSpec, **__: object) -> int:
        creating.set()
        time.sleep(0.5)
        raise EngineUnavailable("The Docker Engine did not answer within 0.5 s.")

    platform.engine.run = run  # type: ignore[method-assign, assignment]
    pushed = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")
    operation = platform.deploy(pushed=pushed)
    thread = platform.worker()
    assert creating.wait(10)
    platform.store.operations.cancel(operation, by=ANN)
    thread.join(20)

    assert platform.store.operations.operation(operation.id).cancelled
    assert platform.store.database.redis.hget(keys.UNTIDY, str(platform.app.id)) is not None


def test_the_last_line_is_as_clean_as_the_others(platform: OneApp) -> None:
    def refuse() -> None:
        raise OperationFailed("It runs as \x1b]0;title\x07\x1b[2J\u202eroot.")

    platform.engine.on["start", "worker"] = refuse
    operation = platform.deploy("two:1")
    platform.work()

    assert "ERROR: It runs as root." in platform.log(operation)


@pytest.mark.parametrize("breaks", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_no_character_cuts_a_secret_in_two_among_a_containers_last_lines(
    platform: OneApp, breaks: str
) -> None:
    """Python takes more than line feeds for line ends; a log shows none of them."""

    def dies() -> None:
        raise ContainerDied(f"It ended.\nIts last lines:\nwrong: S3CR3T-{breaks}0123456789!")

    request = OperationRequest(platform.app.id, OperationType.DEPLOY, 1, ANN.email)
    changes = Changes(image="two:1", environment={"API_KEY": "S3CR3T-0123456789"})
    operation = platform.store.operations.submit(request, changes)
    for call in ("settle", "start"):  # the rollback's, too
        platform.engine.on[call, "worker"] = dies
    platform.work()

    log = platform.log(operation)
    assert f"INFO: wrong: {MASK}!" in log
    assert not [line for line in log if "S3CR3T" in line or "0123456789" in line]


def test_a_store_that_was_away_for_longer_than_a_lease_costs_no_deploy(
    platform: OneApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's writer is as patient as everything else that has begun."""
    assert worker.log._AWAY_SECONDS >= STORE_SECONDS
    assert worker.log._FLUSH_SECONDS > worker.log._AWAY_SECONDS
    redis = platform.store.database.raw

    def run(_: ContainerSpec, *, output: Callable[[bytes], None], **__: object) -> int:
        redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        output(b"begun\n")
        time.sleep(2 * LEASE)
        redis.execute_command("REPLICAOF", "NO", "ONE")
        return 0

    monkeypatch.setattr(platform.engine, "run", run)
    pushed = PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n")
    operation = platform.deploy(pushed=pushed)
    platform.work()

    assert platform.status(operation) is OperationStatus.SUCCEEDED, platform.log(operation)
    assert "begun" in platform.log(operation)
