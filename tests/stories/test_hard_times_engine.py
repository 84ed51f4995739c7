"""A Docker Engine that hangs, takes what it is asked and never answers, and then does again."""

import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from conftest import App, admin_of

from testbed.engine import PrivateEngine
from testbed.false_registry import FalseRegistry, Mood
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

ENGINE_SECONDS, PULL_SECONDS = 3, 5
SETTINGS = {
    "ENCLAVE_ENGINE_SECONDS": f"{ENGINE_SECONDS}",
    "ENCLAVE_PULL_SECONDS": f"{PULL_SECONDS}",
}


@pytest.fixture(scope="module")
def shaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    """An Engine of these stories alone."""
    with PrivateEngine(tmp_path_factory.mktemp("shaky")) as engine:
        yield engine


@pytest.fixture(scope="module")
def shop(shaky: PrivateEngine, registry: PrivateRegistry) -> Iterator[App]:
    with Installation(shaky.url, settings=SETTINGS) as house:
        shop = App.create("shop", admin_of(house, "hank@example.com"), registry, house)
        finished = shop.deploy_image(Images(shaky.url, registry).web("1"))
        assert finished.returncode == 0, finished.stdout
        yield shop


@pytest.fixture(autouse=True)
def all_is_well_again(shop: App) -> Iterator[None]:
    """Once the Engine answers, the release is whole and alone, and a deploy works."""
    serving = shop.serving()
    yield
    wait_until(
        lambda: shop.serving() == serving and len(_all(shop)) == sum(serving.values()),
        seconds=20,
        what="the release is not whole, or not alone",
    )
    assert shop.get() == "web 1\n"
    deployed = shop.deploy()
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert shop.serving() == serving


def _all(shop: App) -> list[dict[str, str]]:
    return shop.installation.containers(shop.name, every=True)


def _page(shop: App) -> str:
    """The address of the app's page: to look at it while the Engine cannot be asked for it."""
    (container,) = shop.installation.containers(shop.name)
    return f"http://{container['address']}:8080/"


def _silence(shaky: PrivateEngine) -> str:
    return f"The Docker Engine at {shaky.url} did not answer within {ENGINE_SECONDS} s"


def test_a_deploy_ends_soon_and_names_the_engine(shop: App, shaky: PrivateEngine) -> None:
    page = _page(shop)
    with shaky.hanging():
        began = time.monotonic()
        failed = shop.deploy()
        took = time.monotonic() - began
        assert httpx.get(page, trust_env=False).text == "web 1\n"
    assert failed.returncode == 1
    assert _silence(shaky) in failed.stdout
    assert "serves on, as before" in failed.stdout
    assert took < ENGINE_SECONDS + 5


@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.STALLING], ids=["resolving", "pulling"])
def test_the_engine_is_to_blame_and_not_the_registry_it_asked(
    mood: Mood, shop: App, shaky: PrivateEngine
) -> None:
    with FalseRegistry(mood) as false:
        deploy = _start_deploy(shop, false)
        with shaky.hanging():
            said, _ = deploy.communicate(timeout=30)
    assert deploy.returncode == 1
    assert _silence(shaky) in said


@pytest.mark.parametrize("mood", [Mood.SILENT, Mood.STALLING], ids=["resolving", "pulling"])
def test_a_cancel_does_not_wait_for_it(mood: Mood, shop: App, shaky: PrivateEngine) -> None:
    with FalseRegistry(mood) as false:
        deploy = _start_deploy(shop, false)
        with shaky.hanging():
            began = time.monotonic()
            operation = shop.installation.operations(shop.name)[-1]
            shop.owner.aptible("operation:cancel", operation).check_returncode()
            said, _ = deploy.communicate(timeout=30)
            took = time.monotonic() - began
    assert "ERROR: Cancelled." in said
    assert took < ENGINE_SECONDS


def _start_deploy(shop: App, false: FalseRegistry) -> subprocess.Popen[str]:
    """Start a deploy and return when the Engine waits for the registry."""
    command = ("aptible", "deploy", "--app", shop.handle, "--docker-image", false.reference)
    deploy = shop.owner.start(*command)
    false.wait_until_stalled()
    return deploy


def test_a_release_that_was_being_started_is_rolled_back(shop: App, shaky: PrivateEngine) -> None:
    shop.repository.commit(Procfile="one: exec serve\ntwo: exec serve 8081\n")
    push = shop.owner.start("git", "push", "aptible", "master", cwd=shop.repository.path)
    assert push.stdout is not None
    said = _until(push, "STARTING: Starting")
    with shaky.hanging():
        said += _until(push, "Cannot roll back yet")
    rest, _ = push.communicate(timeout=60)
    said += rest
    assert push.returncode == 1
    assert _silence(shaky) in said
    assert "serves again" in said or "serves on, as before" in said
    assert shop.repository.remote_refs() == {}


def _until(process: subprocess.Popen[str], words: str) -> str:
    """Read what a process says until a line has ``words``; return it."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without {words!r}: {said}")
