"""How many requests each step of a redeploy costs the Engine: one more is a decision, no accident.

Times are measured by ``scripts/bench deploy``; this count is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import bare_runtime
import docker
import pytest
import requests
from bare_runtime import built, docker_engine, shell

from enclave.credentials import RegistryCredentials
from enclave.image import ImageReference
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.registry import PrivateRegistry
from worker.runtime import Container, Image
from worker.runtime.docker_engine import DockerEngine

SLEEP = "trap 'exit 0' TERM; sleep 600 & wait"


@pytest.fixture(scope="module")
def runtime(engine: PrivateEngine) -> DockerEngine:
    return docker_engine(engine)


@pytest.fixture(scope="module")
def image(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    return built(engine, runtime, "counted:1")


@pytest.fixture
def container(runtime: DockerEngine, image: Image) -> Iterator[Container]:
    yield runtime.start(shell(image, SLEEP))
    bare_runtime.remove_all(runtime)


@pytest.fixture
def requests_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[str]]:
    """Return what tells the requests of a call: ``GET /containers/json``, ids left out."""
    sent: list[str] = []
    send = docker.APIClient.send

    def noted(client: docker.APIClient, request: requests.PreparedRequest, **options: object):  # type: ignore[no-untyped-def]
        path = (request.url or "").partition("/v1.")[2].partition("/")[2].partition("?")[0]
        sent.append(f"{request.method} /{path}")
        return send(client, request, **options)

    def requests_of(call: Callable[[], object]) -> list[str]:
        sent.clear()
        call()
        return list(sent)

    monkeypatch.setattr(docker.APIClient, "send", noted)
    return requests_of


@pytest.mark.usefixtures("container")  # which has seen to the network
def test_a_start(
    runtime: DockerEngine,
    image: Image,
    requests_of: Callable[[Callable[[], object]], list[str]],
) -> None:
    sent = requests_of(lambda: runtime.start(shell(image, SLEEP)))
    assert [each.partition("/")[0] + each.rpartition("/")[2] for each in sent[1:]] == [
        "GET json",  # which addresses are taken
        "POST create",
        "POST start",
        "GET json",  # what came of it
    ]
    assert sent[0].startswith("GET /networks/")


@pytest.mark.parametrize(
    ("step", "most"),
    [
        pytest.param(lambda runtime, it: runtime.containers(it.labels), 1, id="list"),
        pytest.param(lambda runtime, it: runtime.settle(it, seconds=0), 1, id="settled-already"),
        pytest.param(lambda runtime, it: runtime.settle(it, seconds=0.2), 2, id="settle"),
        pytest.param(lambda runtime, it: runtime.keep(it), 2, id="keep"),
        pytest.param(lambda runtime, it: runtime.stop(it, seconds=5), 2, id="stop"),
        pytest.param(lambda runtime, it: runtime.remove(it), 1, id="remove"),
    ],
)
def test_a_step_of_one_container(
    runtime: DockerEngine,
    container: Container,
    requests_of: Callable[[Callable[[], object]], list[str]],
    step: Callable[[DockerEngine, Container], object],
    most: int,
) -> None:
    sent = requests_of(lambda: step(runtime, container))
    assert len(sent) == most, sent


def test_an_image_that_is_present(
    runtime: DockerEngine,
    images: Images,
    registry: PrivateRegistry,
    requests_of: Callable[[Callable[[], object]], list[str]],
) -> None:
    reference = ImageReference.parse(images.worker("counted"))
    credentials = RegistryCredentials(reference.domain, registry.username, registry.password)

    def resolve_and_pull() -> None:
        pinned = reference.pinned(runtime.resolve(reference, credentials))
        told: list[str] = []
        runtime.pull(pinned, credentials, progress=told.append, summary=told.append, seconds=30)

    resolve_and_pull()
    sent = requests_of(resolve_and_pull)
    assert [each.split("/")[1] for each in sent] == ["distribution", "images", "images"], sent
