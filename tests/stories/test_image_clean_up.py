"""Images that no kept release needs leave the Engine; an Engine's disk that is full is told."""

import os
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import docker
import pytest
from conftest import App, admin_of
from docker.errors import ImageNotFound

from enclave.credentials import RegistryCredentials
from enclave.errors import ImageUnavailable
from enclave.image import ImageReference
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry
from worker.runtime import engine_disk
from worker.runtime.docker_engine import DockerEngine

KEPT = 2
LEAST = 8 << 20

versions = count(1)


@pytest.fixture(scope="module")
def house(engine: PrivateEngine) -> Iterator[Installation]:
    settings = {"ENCLAVE_RELEASES_KEPT": str(KEPT)}
    with Installation(engine.url, settings=settings) as installation:
        yield installation


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    with engine.client() as client:
        yield client


def version(images: Images) -> str:
    return images.web(str(next(versions)), repository="cleaned")


def live_image(app: App) -> str:
    (container,) = app.installation.containers(app.name)
    return container["image"]


def has(client: docker.APIClient, image: str) -> bool:
    try:
        client.inspect_image(image)
    except ImageNotFound:
        return False
    return True


def test_old_releases_and_failed_deploys_leave_no_images(
    house: Installation, images: Images, registry: PrivateRegistry, client: docker.APIClient
) -> None:
    app = App.create("cleaned", admin_of(house, "cleo@example.com"), registry, house)
    _pull_as_somebody(client, version(images), registry)  # another program's
    theirs = {each["Id"] for each in client.images()}
    deployed = []
    for _ in range(KEPT + 2):
        finished = app.deploy_image(version(images))
        assert finished.returncode == 0, finished.stdout
        deployed.append(live_image(app))
    assert app.deploy_image(images.broken()).returncode == 1

    def ours() -> set[str]:
        return {each["Id"] for each in client.images()} - theirs

    wait_until(lambda: ours() == set(deployed[-KEPT:]), seconds=15, what=f"{ours()} are there")
    assert theirs <= {each["Id"] for each in client.images()}
    assert has(client, live_image(app))
    assert app.get().startswith("web ")


def _pull_as_somebody(client: docker.APIClient, name: str, registry: PrivateRegistry) -> None:
    repository, _, tag = name.rpartition(":")
    login = {"username": registry.username, "password": registry.password}
    client.pull(repository, tag=tag, auth_config=login)


class TestADiskThatIsAlmostFull:
    """The Engine's data directory, as this process sees it, on a file system of its own."""

    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        disk = tmp_path / "disk"
        disk.mkdir()
        small = ["mount", "-t", "tmpfs", "-o", f"size={2 * LEAST}", "tmpfs", str(disk)]
        subprocess.run(small, check=True)
        yield disk
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

    @pytest.fixture
    def runtime(
        self, engine: PrivateEngine, disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[DockerEngine]:
        monkeypatch.setattr(engine_disk.EngineDisk, "_data_root", lambda _: disk)
        network = {"network": "disk", "subnet": "10.197.5.0/24"}
        runtime = DockerEngine(engine.url, timeout=30, owner="disk", least_free=LEAST, **network)
        yield runtime
        for pinned in runtime.pulled():
            runtime.remove_image(pinned)

    def pull(self, runtime: DockerEngine, name: str, registry: PrivateRegistry) -> str:
        login = RegistryCredentials(registry.address, registry.username, registry.password)
        reference = ImageReference.parse(name)
        pinned = reference.pinned(runtime.resolve(reference, login))
        image = runtime.pull(pinned, login, progress=print, summary=print, seconds=60)
        return image.pinned

    def fill(self, disk: Path, *, but: int) -> None:
        with (disk / "filling").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2 * LEAST - but)

    def test_a_pull_is_refused_before_it_begins_and_what_is_here_needs_no_room(
        self, runtime: DockerEngine, disk: Path, images: Images, registry: PrivateRegistry
    ) -> None:
        here, absent = version(images), version(images)
        self.pull(runtime, here, registry)
        self.fill(disk, but=LEAST - (1 << 20))
        with pytest.raises(ImageUnavailable) as refused:
            self.pull(runtime, absent, registry)
        assert "not enough disk space on the Docker Engine's machine" in str(refused.value)
        assert "7 MB free, 8 MB needed" in str(refused.value)
        assert self.pull(runtime, here, registry)
        (disk / "filling").unlink()
        assert self.pull(runtime, absent, registry)

    def test_an_engine_elsewhere_is_not_judged(self, engine: PrivateEngine) -> None:
        connection = engine_disk.EngineConnection("tcp://192.0.2.1:2375", timeout=1)
        assert engine_disk.EngineDisk(connection, least=1 << 60).free() is None

    def test_the_data_directory_is_the_engines_own(self, engine: PrivateEngine) -> None:
        connection = engine_disk.EngineConnection(engine.url, timeout=10)
        root = engine_disk.EngineDisk(connection, least=0)._data_root()
        assert (root / "image").is_dir()

    def test_one_that_this_machine_does_not_have_is_not_judged(
        self, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine_disk.EngineDisk, "_data_root", lambda _: Path("/no/such"))
        connection = engine_disk.EngineConnection(engine.url, timeout=10)
        assert engine_disk.EngineDisk(connection, least=1 << 60).free() is None

    def test_layers_that_do_not_fit_end_the_pull(self, disk: Path, engine: PrivateEngine) -> None:
        connection = engine_disk.EngineConnection(engine.url, timeout=10)
        judge = engine_disk.EngineDisk(connection, least=LEAST)
        judge._root = disk
        reference = ImageReference.parse("registry.example.com/app:1")
        judge.check(reference, LEAST)
        with pytest.raises(ImageUnavailable, match="17 MB free, 25 MB needed"):
            judge.check(reference, 2 * LEAST)
