"""Which images go, and which stay, on a real Redis."""

import threading
import time
from itertools import chain, repeat
from pathlib import Path

import pytest
from engine_double import hold_up
from one_app import ANN, OneApp

from enclave.app import App
from enclave.changes import Changes
from enclave.errors import ContainerDied, OperationFailed
from enclave.image import ImageReference
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.release_status import release_status
from enclave.store import Store, keys
from testbed.processes import wait_until
from worker.image_cleaning import ImageCleaning
from worker.operation import run_next_operation

KEPT = 3


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> OneApp:
    platform = OneApp(store, tmp_path)
    platform.settings = platform.settings.model_copy(update={"releases_kept": KEPT})
    return platform


def pinned(name: str) -> str:
    return str(ImageReference.parse(name).pinned("sha256:" + "a" * 64))


def names(platform: OneApp) -> list[str]:
    return sorted(each.partition("@")[0].rpartition("/")[2] for each in platform.engine.images)


def deploy(platform: OneApp, *images: str, app: App | None = None) -> OperationStatus:
    """Deploy these, one after the other; return how the last ended."""
    app = app or platform.app
    for image in images:
        request = OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email)
        operation = platform.store.operations.submit(request, Changes(image=image))
        run_next_operation(platform.store, platform.engine, platform.settings, app.id)
    return platform.status(operation)


def other_app(platform: OneApp) -> App:
    environment = platform.store.apps.environment(platform.app.environment_id)
    return platform.store.apps.create(environment, "other")


def cleaning(platform: OneApp) -> ImageCleaning:
    return ImageCleaning(platform.store, platform.engine, releases_kept=KEPT)


def statuses(platform: OneApp) -> dict[int, str]:
    store, app_id = platform.store, platform.app.id
    live, through = store.apps.app(app_id).state.release, store.images.expired_through(app_id)
    numbers = [release.number for release in store.apps.releases(app_id)]
    return {n: str(release_status(n, live=live, expired_through=through)) for n in sorted(numbers)}


def test_the_last_few_releases_keep_their_images(platform: OneApp) -> None:
    deploy(platform, "a", "b", "c")
    assert names(platform) == ["a", "b", "c"]
    deploy(platform, "d", "e")
    assert names(platform) == ["c", "d", "e"]
    assert statuses(platform) == {1: "expired", 2: "expired", 3: "kept", 4: "kept", 5: "live"}


def test_an_image_of_an_old_release_that_a_newer_one_has_too_stays(platform: OneApp) -> None:
    deploy(platform, "a", "b", "c", "a", "d")
    assert names(platform) == ["a", "c", "d"]
    deploy(platform, "e", "f")
    assert names(platform) == ["d", "e", "f"]


def test_another_apps_kept_release_keeps_it(platform: OneApp) -> None:
    other = other_app(platform)
    deploy(platform, "shared", app=other)
    deploy(platform, "shared", "a", "b", "c", "d")
    assert names(platform) == ["b", "c", "d", "shared"]
    deploy(platform, "x", "y", "z", app=other)
    assert names(platform) == ["b", "c", "d", "x", "y", "z"]


def test_the_image_of_a_failed_deploy_goes(platform: OneApp) -> None:
    deploy(platform, "a")

    def die() -> None:
        raise ContainerDied("it died")

    platform.engine.on["settle", threading.current_thread().name] = die
    assert deploy(platform, "broken") is OperationStatus.FAILED
    assert names(platform) == ["a"]
    assert deploy(platform, "a") is OperationStatus.FAILED
    assert names(platform) == ["a"], "a kept release needs it"
    assert platform.store.images.held(platform.app.id) == {}


def test_the_live_release_keeps_its_image_however_old(platform: OneApp) -> None:
    deploy(platform, "a", "b", "c", "d", "e")
    store, app_id = platform.store, platform.app.id
    state = store.database.redis.hget(keys.app(app_id), "state") or ""
    store.database.redis.hset(
        keys.app(app_id), "state", state.replace('"release":5', '"release":2')
    )
    platform.engine.images.add(pinned("b"))
    store.images.hold(app_id, 1, pinned("b"))  # as an operation does that goes back to it
    platform.engine.all.clear()
    assert cleaning(platform).sweep() == 0
    assert statuses(platform)[2] == "live"


def test_what_others_have_on_the_engine_is_never_asked_for(platform: OneApp) -> None:
    """``pulled`` names what is ours; ``remove_image`` is called for nothing else."""
    asked: list[str] = []
    remove = platform.engine.remove_image
    platform.engine.remove_image = lambda name: asked.append(name) or remove(name)  # type: ignore[method-assign,func-returns-value]
    deploy(platform, "a", "b", "c", "d")
    assert asked == [pinned("a")]


def test_only_what_the_operation_changed_is_looked_at(platform: OneApp) -> None:
    deploy(platform, *(f"i{n}" for n in range(12)))
    looked: list[tuple[int, int]] = []
    between = platform.store.apps.releases_between

    def watch(app_id: int, first: int, last: int) -> list:
        looked.append((first, last))
        return between(app_id, first, last)

    platform.store.apps.releases_between = watch  # type: ignore[method-assign]
    deploy(platform, "new")
    assert all(last - first < KEPT for first, last in looked), looked
    assert (10, 10) in looked


class TestAnOperationInBetween:
    def test_an_image_it_holds_stays_though_no_release_has_it(self, platform: OneApp) -> None:
        deploy(platform, "a")
        pulled, until = threading.Event(), threading.Event()
        platform.engine.on["start", "worker"] = hold_up(pulled, until)
        platform.deploy("b")
        worker = platform.worker()
        assert pulled.wait(10)
        assert cleaning(platform).sweep() == 0
        assert cleaning(platform).after_operation(platform.app.id) == 0
        assert names(platform) == ["a", "b"]
        until.set()
        worker.join(20)
        assert platform.engine.running() == ["id of library/b"]

    def test_one_that_begins_while_an_image_is_removed_waits_and_pulls_it_again(
        self, platform: OneApp
    ) -> None:
        deploy(platform, "a", "b", "c")
        other = other_app(platform)
        removing, until = threading.Event(), threading.Event()
        platform.engine.on["remove_image", "cleaner"] = hold_up(removing, until)
        cleaner = threading.Thread(target=deploy, args=(platform, "d"), name="cleaner")
        cleaner.start()
        assert removing.wait(10)
        pulls: list[str] = []
        platform.engine.on["pull", "other"] = lambda: pulls.append("pull")
        deploying = threading.Thread(
            target=deploy, args=(platform, "a"), kwargs={"app": other}, name="other"
        )
        deploying.start()
        held = lambda: platform.store.images.held(other.id)  # noqa: E731
        wait_until(lambda: bool(held()), seconds=10, what="it did not begin")
        assert pulls == []
        until.set()
        cleaner.join(20)
        deploying.join(20)
        assert names(platform) == ["a", "b", "c", "d"]
        assert platform.store.images.apps(pinned("a")) == {other.id}
        assert cleaning(platform).sweep() == 0

    def test_who_was_frozen_over_a_removal_does_not_remove(
        self, platform: OneApp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        platform.engine.images.add(pinned("old"))
        later = time.clock_gettime(time.CLOCK_BOOTTIME) + 61
        moments = chain([later - 61], repeat(later))
        monkeypatch.setattr("enclave.store.images.boot_seconds", lambda: next(moments))
        assert cleaning(platform).sweep() == 0
        assert names(platform) == ["old"]

    def test_two_who_remove_the_same_do_it_once(self, platform: OneApp) -> None:
        with platform.store.images.removing("x") as first:
            assert first is not None
            with platform.store.images.removing("x") as second:
                assert second is None
            with platform.store.images.removing("y") as other:
                assert other is not None
        with platform.store.images.removing("x") as again:
            assert again is not None

    def test_a_removal_whose_time_ran_out_does_not_end_anothers(self, store: Store) -> None:
        with store.images.removing("x"):
            store.database.redis.set(keys.image_removal("x"), "another's")
        assert store.database.redis.get(keys.image_removal("x")) == "another's"


class TestWhatWasMissed:
    def test_the_sweep_finds_what_a_dead_worker_left(self, platform: OneApp) -> None:
        deploy(platform, "a")
        platform.engine.images.add(pinned("left"))
        assert cleaning(platform).sweep() == 1
        assert names(platform) == ["a"]

    def test_an_engine_that_refuses_one_does_not_keep_the_others(self, platform: OneApp) -> None:
        platform.engine.images |= {pinned("p"), pinned("q")}
        refuses = iter([True, False])

        def refuse() -> None:
            if next(refuses):
                raise OperationFailed("The Docker Engine could not remove the image")

        platform.engine.on["remove_image", threading.current_thread().name] = refuse
        assert cleaning(platform).sweep() == 1
        assert names(platform) == ["p"]
        assert cleaning_again(platform) == 1

    def test_an_app_whose_records_cannot_be_read_may_need_all_it_held(
        self, platform: OneApp
    ) -> None:
        deploy(platform, "a", "b", "c", "d")
        platform.engine.all.clear()
        platform.store.database.redis.hset(keys.app(platform.app.id), "state", "{broken")
        assert cleaning(platform).sweep() == 0
        assert cleaning(platform).after_operation(platform.app.id) == 0
        assert names(platform) == ["b", "c", "d"]

    def test_a_deprovisioned_app_needs_none(self, platform: OneApp) -> None:
        deploy(platform, "a", "b")
        platform.engine.all.clear()
        platform.store.database.redis.hset(keys.app(platform.app.id), "status", "deprovisioned")
        assert cleaning(platform).after_operation(platform.app.id) == 2
        assert names(platform) == []


def cleaning_again(platform: OneApp) -> int:
    platform.engine.on.clear()
    return cleaning(platform).sweep()


def test_keeping_more_later_brings_no_image_back(platform: OneApp) -> None:
    deploy(platform, "a", "b", "c", "d", "e")
    platform.settings = platform.settings.model_copy(update={"releases_kept": 9})
    deploy(platform, "f")
    assert statuses(platform)[2] == "expired"
    assert statuses(platform)[3] == "kept"
    assert names(platform) == ["c", "d", "e", "f"]
