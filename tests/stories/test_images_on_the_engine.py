"""What a real Engine does with images that are pulled, marked and let go of."""

import subprocess
from collections.abc import Iterator
from itertools import count

import docker
import pytest
from docker.errors import ImageNotFound

from enclave.credentials import RegistryCredentials
from enclave.image import ImageReference
from testbed.engine import PrivateEngine
from testbed.images import Images, build
from testbed.registry import PrivateRegistry
from worker.runtime import ContainerSpec, Image
from worker.runtime.docker_engine import DockerEngine

versions = count(1)


@pytest.fixture(scope="module")
def credentials(registry: PrivateRegistry) -> RegistryCredentials:
    return RegistryCredentials(registry.address, registry.username, registry.password)


def runtime_of(engine: PrivateEngine, owner: str) -> DockerEngine:
    network = {"network": "images", "subnet": "10.197.3.0/24"}
    return DockerEngine(engine.url, timeout=30, owner=owner, **network)


@pytest.fixture
def ours(engine: PrivateEngine) -> Iterator[DockerEngine]:
    """A runtime of an installation that leaves nothing behind."""
    runtime = runtime_of(engine, f"ours{next(versions)}")
    yield runtime
    for container in runtime.containers({"enclave.app": "1"}):
        runtime.remove(container)
    for pinned in runtime.pulled():
        assert runtime.remove_image(pinned)


@pytest.fixture
def theirs(engine: PrivateEngine) -> Iterator[DockerEngine]:
    runtime = runtime_of(engine, f"theirs{next(versions)}")
    yield runtime
    for pinned in runtime.pulled():
        assert runtime.remove_image(pinned)


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    with engine.client() as client:
        yield client


@pytest.fixture
def published(images: Images) -> str:
    """A reference in the registry to an image that no Engine has."""
    return images.web(str(next(versions)), repository="let-go")


def fetch(runtime: DockerEngine, text: str, credentials: RegistryCredentials) -> Image:
    reference = ImageReference.parse(text)
    pinned = reference.pinned(runtime.resolve(reference, credentials))
    return runtime.pull(pinned, credentials, progress=print, summary=print, seconds=60)


def is_there(client: docker.APIClient, image: Image) -> bool:
    try:
        client.inspect_image(image.id)
    except ImageNotFound:
        return False
    return True


def pull_as_somebody(engine: PrivateEngine, name: str, credentials: RegistryCredentials) -> None:
    repository, _, tag = name.rpartition(":")
    login = {"username": credentials.username, "password": credentials.password}
    with engine.client() as client:
        client.pull(repository, tag=tag, auth_config=login)


def test_what_was_pulled_is_ours_and_goes(
    ours: DockerEngine, client: docker.APIClient, published: str, credentials: RegistryCredentials
) -> None:
    image = fetch(ours, published, credentials)
    assert ours.pulled() == [image.pinned]
    assert ours.image(image.id) == image, "the mark does not change what it is called"

    assert ours.remove_image(image.pinned)

    assert not is_there(client, image)
    assert ours.pulled() == []
    assert ours.remove_image(image.pinned), "gone is fine"


def test_a_mark_outlives_a_killed_worker(
    engine: PrivateEngine, ours: DockerEngine, published: str, credentials: RegistryCredentials
) -> None:
    """It is on the Engine: another process of the installation finds it there."""
    image = fetch(ours, published, credentials)
    owner = ours._images._marks.owner
    assert runtime_of(engine, owner).pulled() == [image.pinned]


def test_an_image_that_was_there_before_is_never_ours(
    engine: PrivateEngine,
    ours: DockerEngine,
    client: docker.APIClient,
    published: str,
    credentials: RegistryCredentials,
) -> None:
    pull_as_somebody(engine, published, credentials)
    image = fetch(ours, published, credentials)
    assert ours.pulled() == []
    assert ours.remove_image(image.pinned)
    assert ours.image(image.pinned) == image
    client.remove_image(published)


def test_an_image_that_somebody_names_later_stays_with_its_digest(
    engine: PrivateEngine,
    ours: DockerEngine,
    client: docker.APIClient,
    published: str,
    credentials: RegistryCredentials,
) -> None:
    image = fetch(ours, published, credentials)
    pull_as_somebody(engine, published, credentials)

    assert ours.remove_image(image.pinned)

    found = client.inspect_image(image.id)
    assert (found["RepoTags"], found["RepoDigests"]) == ([published], [image.pinned])
    assert ours.pulled() == []
    client.remove_image(published)


def test_an_image_of_the_same_content_that_somebody_built_stays(
    ours: DockerEngine,
    client: docker.APIClient,
    published: str,
    credentials: RegistryCredentials,
) -> None:
    image = fetch(ours, published, credentials)
    client.tag(image.id, "somebody/else", "kept")
    assert ours.remove_image(image.pinned)
    assert client.inspect_image("somebody/else:kept")["Id"] == image.id
    client.remove_image("somebody/else:kept")
    client.remove_image(image.pinned)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_an_image_that_a_container_needs_stays_as_it_is(
    ours: DockerEngine,
    client: docker.APIClient,
    published: str,
    credentials: RegistryCredentials,
    *,
    running: bool,
) -> None:
    image = fetch(ours, published, credentials)
    container = ours.start(ContainerSpec("needs-it", image.id, {"enclave.app": "1"}))
    if not running:
        ours.stop(container, seconds=0)

    assert not ours.remove_image(image.pinned)

    assert ours.image(image.pinned) == image
    assert ours.pulled() == [image.pinned]
    ours.remove(container)
    assert ours.remove_image(image.pinned)
    assert not is_there(client, image)


def test_two_installations_on_one_engine_keep_each_others_images(
    ours: DockerEngine,
    theirs: DockerEngine,
    client: docker.APIClient,
    published: str,
    credentials: RegistryCredentials,
) -> None:
    image = fetch(ours, published, credentials)
    assert fetch(theirs, published, credentials) == image
    assert theirs.pulled() == ours.pulled() == [image.pinned]

    assert ours.remove_image(image.pinned)
    assert theirs.image(image.pinned) == image
    assert theirs.remove_image(image.pinned), "the last one takes it away"
    assert not is_there(client, image)


def test_one_image_in_two_repositories_goes_with_the_second(
    ours: DockerEngine,
    client: docker.APIClient,
    published: str,
    images: Images,
    credentials: RegistryCredentials,
) -> None:
    image = fetch(ours, published, credentials)
    elsewhere = f"{images.registry.address}/copied:1"
    client.tag(image.id, f"{images.registry.address}/copied", "1")
    login = {"username": credentials.username, "password": credentials.password}
    client.push(elsewhere, auth_config=login)
    client.remove_image(elsewhere)
    copied = fetch(ours, elsewhere, credentials)
    assert (copied.id, copied.pinned != image.pinned) == (image.id, True)
    assert len(ours.pulled()) == 2

    assert ours.remove_image(image.pinned)
    assert ours.image(image.pinned) is None
    assert ours.image(copied.pinned) == copied
    assert ours.remove_image(copied.pinned)
    assert not is_there(client, image)


def test_a_removal_that_was_cut_short_is_finished_by_the_next(
    ours: DockerEngine, client: docker.APIClient, published: str, credentials: RegistryCredentials
) -> None:
    image = fetch(ours, published, credentials)
    client.remove_image(image.pinned)  # the first of its two steps
    (left,) = ours.pulled()
    assert left.startswith("enclave-ours")
    assert ours.remove_image(left)
    assert not is_there(client, image)


def test_images_are_not_those_of_a_longer_or_shorter_name(
    engine: PrivateEngine, ours: DockerEngine
) -> None:
    build(engine.url, "enclave-ours:latest", cmd=["/bin/work"])
    assert ours.pulled() == []
    with engine.client() as client:
        client.remove_image("enclave-ours:latest")


def test_the_engines_own_prune_leaves_what_is_ours(
    engine: PrivateEngine, ours: DockerEngine, published: str, credentials: RegistryCredentials
) -> None:
    image = fetch(ours, published, credentials)
    prune = ["docker", "--host", engine.url, "image", "prune", "--force"]
    subprocess.run(prune, check=True, capture_output=True, timeout=60)
    assert ours.image(image.pinned) == image
