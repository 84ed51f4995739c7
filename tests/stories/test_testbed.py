"""Before any story is believed: the Engine, the registry and the images are what they claim."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError

from testbed import images as image_making
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.processes import PartUnavailable
from testbed.registry import PrivateRegistry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    with engine.client() as client:
        yield client


@pytest.fixture
def network(client: docker.APIClient) -> Iterator[str]:
    client.create_network("testbed", driver="bridge")
    yield "testbed"
    client.remove_network("testbed")


def poll(look: Callable[[], Any], *, seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{look} saw nothing in {seconds} s"
        time.sleep(0.02)
    return seen


def pull(client: docker.APIClient, reference: str, registry: PrivateRegistry, password: str) -> str:
    repository, _, tag = reference.rpartition(":")
    credentials = {"username": registry.username, "password": password}
    return client.pull(repository, tag=tag, auth_config=credentials)


def run(client: docker.APIClient, image: str, network: str, command: list[str] | None = None):
    """Start a container; return its id and address."""
    container = client.create_container(
        image, command=command, host_config=client.create_host_config(network_mode=network)
    )["Id"]
    client.start(container)
    networks = client.inspect_container(container)["NetworkSettings"]["Networks"]
    return container, networks[network]["IPAddress"]


def get(address: str, path: str = "/") -> str:
    def answer() -> str:
        try:
            with urllib.request.urlopen(f"http://{address}:8080{path}", timeout=5) as response:
                return response.read().decode()
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:  # nobody listens yet
            return ""

    return poll(answer)


def test_an_image_goes_to_the_registry_and_comes_back_to_serve(
    client: docker.APIClient, network: str, registry: PrivateRegistry, images: Images
):
    reference = images.web("7")
    assert client.images(reference) == []  # only the registry has it now

    with pytest.raises(APIError, match="no basic auth credentials"):
        client.pull(reference.rpartition(":")[0], tag="7")
    with pytest.raises(APIError, match="unauthorized"):
        pull(client, reference, registry, "not the password")
    pull(client, reference, registry, registry.password)

    container, address = run(client, reference, network)
    assert get(address) == "web 7\n"
    assert get(address, "/healthcheck") == "ok\n"
    assert f"HOSTNAME={container[:12]}\n" in get(address, "/cgi-bin/env")

    before = time.monotonic()
    client.stop(container, timeout=10)
    assert time.monotonic() - before < 5, "serve does not end at SIGTERM"
    client.remove_container(container)


def test_a_push_with_a_wrong_password_is_refused(engine: PrivateEngine, registry: PrivateRegistry):
    tag = f"{registry.address}/intruder:1"
    image_making.build(engine.url, tag)
    with pytest.raises(PartUnavailable, match="unauthorized"):
        image_making.push(engine.url, tag, username=registry.username, password="not the password")
    digest = image_making.push(
        engine.url, tag, username=registry.username, password=registry.password
    )
    assert digest.startswith("sha256:")


def test_images_say_how_they_run(
    client: docker.APIClient, network: str, registry: PrivateRegistry, images: Images
):
    def configuration(reference: str) -> dict:
        pull(client, reference, registry, registry.password)
        return client.inspect_image(reference)["Config"]

    bare = configuration(images.bare())
    assert (bare["Entrypoint"], bare["Cmd"]) == (None, None)

    web = configuration(images.web())
    assert (web["Entrypoint"], web["Cmd"]) == (None, ["/bin/serve"])
    assert web["ExposedPorts"] == {"8080/tcp": {}}

    reference = images.with_entrypoint()
    assert configuration(reference)["Entrypoint"] == ["/bin/entrypoint"]
    container, _ = run(client, reference, network, ["two words", "$HOME"])
    poll(lambda: b"argument: two words\nargument: $HOME\n" in client.logs(container))
    client.remove_container(container, force=True)

    reference = images.worker()
    configuration(reference)
    container, _ = run(client, reference, network)
    poll(lambda: b"worker tick 2" in client.logs(container))
    client.remove_container(container, force=True)

    reference = images.broken()
    configuration(reference)
    container, _ = run(client, reference, network)
    assert client.wait(container)["StatusCode"] == 3
    assert client.logs(container) == b"cannot go on\n"
    client.remove_container(container)

    own = images.publish(
        "own:1",
        files={"/app/hello": "#!/bin/sh\necho hello"},
        env={"PRICE": '5 $ "net" é'},
        healthcheck="--interval=1s CMD /bin/true",
    )
    assert 'PRICE=5 $ "net" é' in configuration(own)["Env"]
    assert configuration(own)["Healthcheck"]["Test"] == ["CMD-SHELL", "/bin/true"]
    container, _ = run(client, own, network, ["/bin/sh", "-c", "/app/hello | tr h J"])
    client.wait(container)
    assert client.logs(container) == b"Jello\n"
    client.remove_container(container)


def test_a_killed_registry_comes_back_with_its_images(tmp_path: Path, engine: PrivateEngine):
    with PrivateRegistry(tmp_path / "registry", users={"ann": "secret-9"}) as registry:
        images = Images(engine.url, registry)
        reference = images.web()
        with engine.client() as client:
            registry.kill()
            with pytest.raises(APIError, match="connection refused"):
                pull(client, reference, registry, "secret-9")
            registry.restart()
            pull(client, reference, registry, "secret-9")
            client.remove_image(reference)


def test_two_engines_side_by_side(tmp_path: Path, engine: PrivateEngine):
    with PrivateEngine(tmp_path / "second") as second:
        containers, addresses = [], []
        for one in (engine, second):
            image_making.build(
                one.url, "side:1", files={"/www/index.html": one.url}, cmd=["/bin/serve"]
            )
            with one.client() as client:
                client.create_network("side", driver="bridge")
                container, address = run(client, "side:1", "side")
            containers.append(container)
            addresses.append(address)
        first, other = addresses
        assert first.rpartition(".")[0] != other.rpartition(".")[0]
        assert (get(first), get(other)) == (engine.url, second.url)

    assert not list(tmp_path.iterdir())
    assert get(first) == engine.url  # the end of one is nothing to the other
    with engine.client() as client:
        client.remove_container(containers[0], force=True)
        client.remove_network("side")


def test_a_killed_engine_leaves_its_containers_serving_and_comes_back(tmp_path: Path):
    with PrivateEngine(tmp_path / "engine") as engine, engine.client() as client:
        image_making.build(engine.url, "web:1", cmd=["/bin/serve"], files={"/www/index.html": "on"})
        client.create_network("own", driver="bridge")
        container, address = run(client, "web:1", "own")
        assert get(address) == "on"

        engine.kill()
        assert not engine.answers()
        assert get(address) == "on"

        engine.restart()
        assert engine.answers()
        assert not client.inspect_container(container)["State"]["Running"]  # dockerd's way


OWNER = """
import signal, sys
from pathlib import Path
from typing import Any
from testbed import images
from testbed.engine import PrivateEngine

with PrivateEngine(Path(sys.argv[1])) as engine, engine.client() as client:
    images.build(engine.url, "work:1", cmd=["/bin/work"])
    network = client.create_network("own", driver="bridge")["Id"]
    config = client.create_host_config(network_mode="own")
    client.start(client.create_container("work:1", host_config=config))
    print(engine.url.removeprefix("unix://"), "br-" + network[:12], flush=True)
    signal.pause()
"""


def test_an_engine_whose_owner_is_killed_leaves_nothing(tmp_path: Path):
    data = tmp_path / "engine"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    socket, bridge = owner.stdout.readline().split()
    run_directory = Path(socket).parent
    assert Path("/sys/class/net", bridge).exists()

    owner.send_signal(signal.SIGKILL)
    owner.communicate(timeout=10)

    poll(lambda: not run_directory.exists() and not data.exists())
    assert not Path("/sys/class/net", bridge).exists()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert bridge not in rules
    assert str(data) not in Path("/proc/self/mountinfo").read_text()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{run_directory.name}"))
