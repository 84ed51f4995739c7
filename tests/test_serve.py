"""A runtime that serves exactly one release, in the right order (DESIGN 4 and 5)."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from enclave.app import App
from enclave.errors import ContainerDied, OperationFailed, StoreUnavailable
from enclave.release import Release, ReleasedService
from worker import serve
from worker.plan import Placement
from worker.runtime import Container, ContainerSpec
from worker.serve import serve_only, stop_all

PLACEMENT = Placement("i9", App(7, 1, "prod", "web", "2026-01-01T00:00:00.000Z"))
NEIGHBOUR = Placement("i9", App(8, 1, "prod", "other", "2026-01-01T00:00:00.000Z"))
SERVICES = (
    ReleasedService("web", "a", ("a",), 2),
    ReleasedService("worker", "b", ("b",), 1),
)


def release(operation_id: int) -> Release:
    return Release(
        number=operation_id,
        app_id=7,
        operation_id=operation_id,
        fence="1",
        user_email="me@example.com",
        created_at="2026-01-01T00:00:00.000Z",
        image="nginx",
        pinned="nginx@sha256:1",
        image_id="sha256:1",
        pushed=None,
        services=SERVICES,
        sealed_configuration="",
    )


class Kept:
    """A runtime in memory: what runs, and what was done, in order."""

    def __init__(self) -> None:
        self.running: dict[str, Container] = {}
        self.done: list[tuple[str, str]] = []
        self.stuck: set[str] = set()
        self.unstartable: set[str] = set()
        self._lock = threading.Lock()

    def _did(self, what: str, container: Container) -> None:
        with self._lock:
            self.done.append((what, container.name))

    def start(self, spec: ContainerSpec) -> Container:
        container = Container(spec.name, spec.name, spec.labels, True, spec.image_id)
        assert spec.name not in self.running
        self.running[spec.name] = container
        self._did("start", container)
        return container

    def keep(self, container: Container) -> None:
        self._did("keep", container)

    def resume(self, container: Container) -> Container:
        if container.name in self.unstartable:
            self.unstartable.remove(container.name)
            raise ContainerDied(f"{container.name} could not be started: it exists already")
        self.running[container.name] = replace(container, running=True)
        self._did("resume", container)
        return self.running[container.name]

    def remove(self, container: Container) -> None:
        if container.name in self.stuck:
            raise OperationFailed(f"{container.name} cannot be removed")
        del self.running[container.name]
        self._did("remove", container)

    def stop(self, container: Container, *, seconds: float) -> None:
        assert seconds == 3.0
        self._did("stop", container)
        if container.name in self.stuck:
            raise ContainerDied(f"{container.name} cannot be stopped")

    def containers(self, labels: dict[str, str]) -> list[Container]:
        return [
            container
            for container in self.running.values()
            if labels.items() <= container.labels.items()
        ]

    def serving(self, live: Release | None, placement: Placement = PLACEMENT) -> list[str]:
        """Serve a release; return what was done for it."""
        self.done.clear()
        serve_only(self, placement, live, {"A": "1"})  # type: ignore[arg-type]
        return [what for what, _ in self.done]

    def die(self, index: int) -> None:
        name = list(self.running)[index]
        self.running[name] = replace(self.running[name], running=False)


@pytest.fixture
def runtime() -> Kept:
    return Kept()


def names(live: Release) -> set[str]:
    return {spec.name for spec in PLACEMENT.service_containers(live, {})}


def test_what_is_missing_is_made_again_and_kept(runtime: Kept) -> None:
    assert runtime.serving(release(1)) == ["start", "keep"] * 3
    assert set(runtime.running) == names(release(1))


def test_asked_again_all_are_only_kept_from_dying(runtime: Kept) -> None:
    """One may have lost its restart policy, to be stopped by a worker that died before it did."""
    runtime.serving(release(1))
    assert runtime.serving(release(1)) == ["keep"] * 3


def test_what_stopped_is_resumed_not_made_anew(runtime: Kept) -> None:
    runtime.serving(release(1))
    runtime.die(1)
    assert runtime.serving(release(1)) == ["keep", "resume", "keep"]
    assert all(container.running for container in runtime.running.values())


def test_what_the_engine_cannot_start_again_is_made_anew(runtime: Kept) -> None:
    runtime.serving(release(1))
    runtime.die(1)
    runtime.unstartable |= runtime.running.keys()
    assert runtime.serving(release(1)) == ["keep", "remove", "start", "keep", "keep"]
    assert all(container.running for container in runtime.running.values())


def test_what_is_gone_is_made_again_beside_the_others(runtime: Kept) -> None:
    runtime.serving(release(1))
    del runtime.running[next(iter(runtime.running))]
    assert runtime.serving(release(1)) == ["start", "keep", "keep", "keep"]
    assert set(runtime.running) == names(release(1))


def test_another_release_goes_before_this_one_comes(runtime: Kept) -> None:
    runtime.serving(release(1))
    runtime.die(0)
    assert runtime.serving(release(2)) == ["remove"] * 3 + ["start", "keep"] * 3
    assert set(runtime.running) == names(release(2))


@pytest.mark.parametrize("followed", [True, False, None], ids=["followed", "not", "store away"])
def test_who_follows_hears_the_last_words_of_whatever_goes(
    monkeypatch: pytest.MonkeyPatch, *, followed: bool | None
) -> None:
    """A service that vanished, a release that is rolled back: all goes the same way."""

    class Stoppable(Kept):
        def stop(self, container: Container, *, seconds: float) -> None:
            assert seconds == 0  # who comes back need not wait for who was no good
            self._did("stop", container)

    class Followers:
        def any(self, app_id: int) -> bool:
            assert app_id == PLACEMENT.app.id
            if followed is None:
                raise StoreUnavailable("away")
            return followed

    runtime = Stoppable()
    runtime.serving(release(1))
    runtime.done.clear()
    clock = SimpleNamespace(sleep=lambda seconds: runtime.done.append(("wait", str(seconds))))
    monkeypatch.setattr(serve, "time", clock)
    routing = SimpleNamespace(
        store=SimpleNamespace(followers=Followers()), serve_only=lambda *_: None
    )
    serve_only(runtime, PLACEMENT, None, {}, routing)  # type: ignore[arg-type]
    last_words = ["stop"] * 3 + ["wait"] if followed else []
    assert [what for what, _ in runtime.done] == [*last_words, "remove", "remove", "remove"]


def test_without_a_release_nothing_runs(runtime: Kept) -> None:
    runtime.serving(release(1))
    assert runtime.serving(None) == ["remove"] * 3
    assert runtime.running == {}
    assert runtime.serving(None) == []


def test_other_apps_and_installations_are_left_alone(runtime: Kept) -> None:
    foreign = Placement("another", PLACEMENT.app)
    runtime.serving(release(1), NEIGHBOUR)
    runtime.serving(release(1), foreign)
    before = dict(runtime.running)
    runtime.serving(release(2))
    runtime.serving(None)
    assert runtime.running == before


def test_where_an_old_one_cannot_be_removed_no_new_one_starts(runtime: Kept) -> None:
    runtime.serving(release(1))
    runtime.stuck = {next(iter(runtime.running))}
    with pytest.raises(OperationFailed, match="cannot be removed"):
        runtime.serving(release(2))
    assert not any(what == "start" for what, _ in runtime.done)


class TestStopAll:
    def test_all_are_stopped(self, runtime: Kept) -> None:
        runtime.serving(release(1))
        runtime.done.clear()
        stop_all(runtime, list(runtime.running.values()), seconds=3.0)  # type: ignore[arg-type]
        assert sorted(runtime.done) == sorted(("stop", name) for name in runtime.running)

    def test_one_that_fails_does_not_save_the_others(self, runtime: Kept) -> None:
        runtime.serving(release(1))
        runtime.done.clear()
        runtime.stuck = {next(iter(runtime.running))}
        with pytest.raises(ContainerDied):
            stop_all(runtime, list(runtime.running.values()), seconds=3.0)  # type: ignore[arg-type]
        assert len(runtime.done) == 3

    def test_side_by_side(self) -> None:
        barrier = threading.Barrier(8)

        class Slow(Kept):
            def stop(self, container: Container, *, seconds: float) -> None:
                barrier.wait(5)
                super().stop(container, seconds=seconds)

        slow = Slow()
        containers = [Container(str(n), str(n), {}, True, "x") for n in range(8)]
        stop_all(slow, containers, seconds=3.0)  # type: ignore[arg-type]
        assert len(slow.done) == 8

    def test_none(self, runtime: Kept) -> None:
        stop_all(runtime, [], seconds=3.0)  # type: ignore[arg-type]
