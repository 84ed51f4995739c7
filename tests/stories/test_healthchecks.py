"""A container is healthy when the HEALTHCHECK of its image says so (SPEC 6.4), and no later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import bare_runtime
import pytest
import requests
from bare_runtime import built, docker_engine, shell, spec

from enclave.errors import ContainerDied, EngineUnavailable, OperationFailed, StepTimedOut
from testbed.engine import PrivateEngine
from testbed.processes import wait_until
from worker.runtime import Container, Image, docker_health, timed_stream
from worker.runtime.docker_containers import DockerContainers
from worker.runtime.docker_engine import DockerEngine

PROBE = "cat /tmp/said; test -e /tmp/ready"
LIVE = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
LATER = f"sleep 1; touch /tmp/ready; {LIVE}"


@pytest.fixture(scope="module")
def runtime(engine: PrivateEngine) -> DockerEngine:
    return docker_engine(engine)


@pytest.fixture(scope="module")
def image(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    """Healthy once /tmp/ready exists; it fails 500 times before it counts as unhealthy."""
    check = f"--interval=100ms --retries=500 CMD {PROBE}"
    return built(engine, runtime, "checked:1", cmd=["/bin/sh", "-c", LATER], healthcheck=check)


@pytest.fixture(scope="module")
def strict(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    """The same, unhealthy after three failures."""
    check = f"--interval=100ms --retries=3 CMD {PROBE}"
    return built(engine, runtime, "checked:2", cmd=["/bin/sh", "-c", LATER], healthcheck=check)


@pytest.fixture(autouse=True)
def nothing_is_left(runtime: DockerEngine) -> Iterator[None]:
    yield
    bare_runtime.remove_all(runtime)


def test_it_returns_as_soon_as_the_container_is_healthy(
    runtime: DockerEngine, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the Engine's own word: a wait that polled would look many times in a second."""
    looks: list[float] = []
    details = DockerContainers.details

    def counted(*arguments: object) -> object:
        looks.append(time.monotonic())
        return details(*arguments)  # type: ignore[arg-type]

    assert image.has_healthcheck
    container = runtime.start(spec(image))
    monkeypatch.setattr(DockerContainers, "details", counted)
    before = time.monotonic()
    runtime.healthy(container, seconds=30)
    assert 0.5 < time.monotonic() - before < 2.5
    assert len(looks) <= 3
    runtime.healthy(container, seconds=0)  # it is already


def test_what_happens_before_the_engine_listens_is_not_missed(
    runtime: DockerEngine, image: Image, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = runtime.start(spec(image))

    def got_late(
        *arguments: object, **options: object
    ) -> AbstractContextManager[requests.Response]:
        wait_until(lambda: health(engine, container) == "healthy", seconds=10, what="not healthy")
        return timed_stream.got(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(docker_health, "got", got_late)
    runtime.healthy(container, seconds=5)


def health(engine: PrivateEngine, container: Container) -> str:
    with engine.client() as client:
        return str(client.inspect_container(container.id)["State"]["Health"]["Status"])


def test_an_unhealthy_one_says_what_its_last_probe_said(
    runtime: DockerEngine, strict: Image
) -> None:
    script = f"printf 'no database\\nat db:5432\\n' >/tmp/said; {LIVE}"
    container = runtime.start(shell(strict, script))
    with pytest.raises(OperationFailed) as failed:
        runtime.healthy(container, seconds=30)
    assert type(failed.value) is OperationFailed
    first, *lines = str(failed.value).split("\n")
    assert f"{container.name} is unhealthy: the HEALTHCHECK of its image failed" in first
    assert lines == [
        "The last probe ended with exit status 1. Its last words:",
        "no database",
        "at db:5432",
    ]


def test_one_that_takes_too_long_says_so_too(runtime: DockerEngine, image: Image) -> None:
    container = runtime.start(shell(image, f"echo still migrating >/tmp/said; {LIVE}"))
    before = time.monotonic()
    with pytest.raises(StepTimedOut) as late:
        runtime.healthy(container, seconds=1)
    assert 0.9 < time.monotonic() - before < 2
    assert f"{container.name} was not healthy within 1 s." in str(late.value)
    assert "still migrating" in str(late.value)


def test_one_that_dies_says_its_last_lines(runtime: DockerEngine, image: Image) -> None:
    container = runtime.start(shell(image, "sleep 0.7; echo cannot go on; exit 3"))
    before = time.monotonic()
    with pytest.raises(ContainerDied) as died:
        runtime.healthy(container, seconds=30)
    assert time.monotonic() - before < 3
    assert "exit status 3.\nIts last lines:\ncannot go on" in str(died.value)
    with pytest.raises(ContainerDied, match="exit status 3"):
        runtime.healthy(container, seconds=30)  # dead already


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda runtime, container: runtime.stop(container, seconds=0), id="stop"),
        pytest.param(lambda runtime, container: runtime.remove(container), id="remove"),
    ],
)
def test_stopping_or_removing_it_ends_the_wait_at_once(
    runtime: DockerEngine,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[DockerEngine, Container], None],
) -> None:
    container = runtime.start(shell(image, LIVE))
    listening = listening_event(monkeypatch)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(runtime.healthy, container, seconds=60)
        assert listening.wait(10)
        before = time.monotonic()
        end(runtime, container)
        with pytest.raises(ContainerDied):
            waiting.result(timeout=10)
    assert time.monotonic() - before < 3


def listening_event(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set once somebody asks for a container's events."""
    listening = threading.Event()

    def got(*arguments: object, **options: object) -> AbstractContextManager[requests.Response]:
        listening.set()
        return timed_stream.got(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(docker_health, "got", got)
    return listening


def test_one_that_is_gone(runtime: DockerEngine, image: Image) -> None:
    container = runtime.start(spec(image))
    runtime.remove(container)
    with pytest.raises(ContainerDied, match="is gone"):
        runtime.healthy(container, seconds=30)


def test_one_without_a_healthcheck_is_a_mistake_of_the_caller(
    runtime: DockerEngine, engine: PrivateEngine
) -> None:
    for tag, check in (("unchecked:1", None), ("unchecked:2", "NONE")):
        unchecked = built(engine, runtime, tag, cmd=["/bin/sh", "-c", LIVE], healthcheck=check)
        assert not unchecked.has_healthcheck
        with pytest.raises(ValueError, match="has no HEALTHCHECK"):
            runtime.healthy(runtime.start(spec(unchecked)), seconds=30)


def test_an_engine_that_hangs_is_not_taken_for_a_slow_start(
    engine: PrivateEngine, runtime: DockerEngine, image: Image
) -> None:
    impatient = docker_engine(engine, timeout=1.0)
    container = runtime.start(shell(image, LIVE))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(impatient.healthy, container, seconds=2)
        wait_until(lambda: health(engine, container) == "starting", seconds=5, what="?")
        with engine.hanging(), pytest.raises(EngineUnavailable, match="did not answer"):
            waiting.result(timeout=10)


def test_an_engine_that_dies_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PrivateEngine(tmp_path / "engine") as mortal:
        runtime = docker_engine(mortal)
        image = built(mortal, runtime, "checked:1", healthcheck="CMD false")
        container = runtime.start(shell(image, LIVE))
        listening = listening_event(monkeypatch)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(runtime.healthy, container, seconds=60)
            assert listening.wait(10)
            mortal.kill()
            with pytest.raises(EngineUnavailable, match=f"does not answer at {mortal.url}"):
                waiting.result(timeout=10)
