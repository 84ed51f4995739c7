"""Containers that nobody counts on go, those of the live release run, on a real Redis."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engine_double import hold_up
from one_app import LEASE, OneApp

from enclave.errors import OperationFailed
from enclave.operation import OperationStatus
from enclave.pushed_config import PushedConfig
from enclave.store import Store, keys
from testbed.processes import wait_until
from worker.plan import Placement
from worker.runtime import ContainerSpec
from worker.tidying import sweep


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> OneApp:
    platform = OneApp(store, tmp_path)
    platform.deploy("one:1")
    platform.work()
    assert store.due.next_in() is None
    return platform


def leave_behind(platform: OneApp, image: str = "a dead one") -> str:
    """Make a container as a worker would that was thought dead; return its id."""
    placement = Placement(platform.store.installation(), platform.app)
    labels = {**placement.attempt(99, "99"), **placement.readable()}
    return platform.engine.start(ContainerSpec("left", image, labels)).id


class TestTidying:
    def test_what_is_not_of_the_live_release_goes(self, platform: OneApp) -> None:
        leave_behind(platform)
        platform.store.leases.untidy(platform.app.id)
        platform.work()
        assert platform.engine.running() == ["id of library/one"]
        assert platform.store.due.next_in() is None

    def test_what_is_missing_of_it_comes_back(self, platform: OneApp) -> None:
        platform.engine.all.clear()
        platform.store.leases.untidy(platform.app.id)
        platform.work()
        assert platform.engine.running() == ["id of library/one"]

    def test_of_an_app_that_never_went_live_nothing_runs(
        self, store: Store, tmp_path: Path
    ) -> None:
        platform = OneApp(store, tmp_path)
        leave_behind(platform)
        store.leases.untidy(platform.app.id)
        platform.work()
        assert platform.engine.all == {}

    def test_an_engine_that_is_away_is_asked_again_later(self, platform: OneApp) -> None:
        def away() -> None:
            raise OperationFailed("The Docker Engine does not answer.")

        leave_behind(platform)
        platform.engine.on["containers", "worker"] = away
        platform.store.leases.untidy(platform.app.id)
        platform.work()
        assert platform.store.due.next_in() is not None
        platform.worker("another").join(10)
        assert platform.engine.running() == ["id of library/one"]
        assert platform.store.due.next_in() is None

    def test_an_operation_that_waits_is_not_held_up(self, platform: OneApp) -> None:
        leave_behind(platform)
        platform.store.leases.untidy(platform.app.id)
        operation = platform.deploy("two:1")
        platform.work()
        assert platform.status(operation) is OperationStatus.SUCCEEDED
        assert platform.engine.running() == ["id of library/two"]

    def test_who_was_thought_dead_while_tidying_removes_nothing_of_a_later_release(
        self, platform: OneApp
    ) -> None:
        """It looked at what is live before it froze, and wakes up after another deploy."""
        leave_behind(platform)
        platform.store.leases.untidy(platform.app.id)
        frozen, thaw = threading.Event(), threading.Event()
        platform.engine.on["containers", "loser"] = hold_up(frozen, thaw)
        loser = platform.worker("loser")
        assert frozen.wait(10)
        operation = platform.deploy("two:1")

        def taken_over() -> bool:
            platform.lose_lease()
            platform.worker("winner").join(10)
            return platform.status(operation).ended

        wait_until(taken_over, seconds=20, what="nobody took over")
        assert platform.status(operation) is OperationStatus.SUCCEEDED
        ran_out = time.monotonic() + LEASE  # only so late could it have been lost in earnest
        wait_until(lambda: time.monotonic() > ran_out, seconds=10, what="time stands still")
        thaw.set()
        loser.join(20)
        assert platform.engine.running() == ["id of library/two"]

    def test_what_he_made_beside_a_later_release_is_removed(self, platform: OneApp) -> None:
        """He froze after he had asked for his lease, and before the Engine heard him."""
        platform.engine.all.clear()
        platform.store.leases.untidy(platform.app.id)
        frozen, thaw = threading.Event(), threading.Event()
        platform.engine.on["start", "loser"] = hold_up(frozen, thaw)
        loser = platform.worker("loser")
        assert frozen.wait(10)
        operation = platform.deploy("two:1")

        def taken_over() -> bool:
            platform.lose_lease()
            platform.worker("winner").join(10)
            return platform.status(operation).ended

        wait_until(taken_over, seconds=20, what="nobody took over")
        platform.worker("winner").join(10)
        assert platform.store.due.next_in() is None  # his own note is done with
        ran_out = time.monotonic() + LEASE
        wait_until(lambda: time.monotonic() > ran_out, seconds=10, what="time stands still")
        thaw.set()
        loser.join(20)
        platform.work()
        assert platform.engine.running() == ["id of library/two"]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_worker_that_dies_after_a_release_leaves_a_note(self, platform: OneApp) -> None:
        operation = platform.deploy("two:1")

        def die() -> None:
            raise SystemExit

        platform.engine.on["remove", "dies"] = die
        platform.worker("dies").join(20)
        assert platform.status(operation) is OperationStatus.SUCCEEDED
        assert len(platform.engine.all) == 2
        assert platform.store.due.next_in() is not None
        platform.work()
        assert len(platform.engine.all) == 1
        assert platform.engine.running() == ["id of library/two"]


class TestTheLookAtTheWholeEngine:
    def test_it_changes_nothing_itself_but_has_it_done(self, platform: OneApp) -> None:
        assert sweep(platform.store, platform.engine) == 0
        left = leave_behind(platform)
        assert sweep(platform.store, platform.engine) == 1
        assert left in platform.engine.all
        platform.work()
        assert left not in platform.engine.all
        assert sweep(platform.store, platform.engine) == 0

    def test_an_app_whose_containers_are_all_gone_is_found(self, platform: OneApp) -> None:
        platform.engine.all.clear()
        assert sweep(platform.store, platform.engine) == 1
        platform.work()
        assert platform.engine.running() == ["id of library/one"]
        assert sweep(platform.store, platform.engine) == 0

    def test_a_container_that_was_stopped_is_found(self, platform: OneApp) -> None:
        (container,) = platform.engine.all.values()
        platform.engine.stop(container, seconds=0)
        assert sweep(platform.store, platform.engine) == 1
        platform.work()
        assert platform.engine.running() == ["id of library/one"]

    def test_one_that_crashes_again_and_again_is_the_engines(self, platform: OneApp) -> None:
        """It is started again by its restart policy (SPEC 6.8)."""
        (container,) = platform.engine.all.values()
        crashed = replace(container, running=False, restarting=True)
        platform.engine.all[container.id] = crashed
        assert sweep(platform.store, platform.engine) == 0

    def test_an_app_that_never_went_live_is_left_alone(self, platform: OneApp) -> None:
        store = platform.store
        store.apps.create(store.apps.environment(platform.app.environment_id), "other")
        assert sweep(platform.store, platform.engine) == 0

    def test_an_app_at_work_is_left_alone(self, platform: OneApp) -> None:
        running, until = threading.Event(), threading.Event()
        platform.engine.on["run", "worker"] = hold_up(running, until)
        platform.deploy("two:1", PushedConfig("c" * 40, "web: x\n", "before_release: migrate\n"))
        worker = platform.worker()
        assert running.wait(10)
        assert sweep(platform.store, platform.engine) == 0
        until.set()
        worker.join(20)

    def test_an_app_that_is_not_known_is_left_alone(self, platform: OneApp) -> None:
        """Its records may be in a backup that is just being brought back."""
        placement = Placement(platform.store.installation(), platform.app)
        labels = {**placement.attempt(1, "1"), "enclave.app": "77"}
        platform.engine.start(ContainerSpec("unknown", "unknown", labels))
        assert sweep(platform.store, platform.engine) == 0

    def test_another_installations_are_none_of_ours(self, platform: OneApp) -> None:
        labels = Placement("elsewhere", platform.app).attempt(1, "1")
        platform.engine.start(ContainerSpec("theirs", "theirs", labels))
        assert sweep(platform.store, platform.engine) == 0


def test_an_app_whose_records_cannot_be_read_stops_nobody(platform: OneApp) -> None:
    store, app = platform.store, platform.app
    other = store.apps.create(store.apps.environment(app.environment_id), "other")
    labels = Placement(store.installation(), other).attempt(99, "99")
    platform.engine.start(ContainerSpec("left of the other", "left", labels))
    store.database.raw.hset(keys.app(app.id), "state", "{broken")

    assert sweep(store, platform.engine) == 1
    store.leases.untidy(app.id)
    platform.work()

    assert store.database.redis.exists(keys.lease(app.id)) == 0  # it is tried again later
