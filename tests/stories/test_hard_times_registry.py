"""A registry that stalls, fails or lies: the deploy says which and what, and nothing changes."""

import re
import time
from collections.abc import Iterator

import pytest
from conftest import App, admin_of

from testbed.engine import PrivateEngine
from testbed.false_registry import FalseRegistry, Mood
from testbed.images import Images
from testbed.installation import Installation
from testbed.registry import PrivateRegistry

ENGINE_SECONDS, PULL_SECONDS = 4, 3


@pytest.fixture(scope="module")
def house(engine: PrivateEngine) -> Iterator[Installation]:
    settings = {"ENGINE_SECONDS": ENGINE_SECONDS, "PULL_SECONDS": PULL_SECONDS}
    with Installation(
        engine.url, settings={f"ENCLAVE_{name}": str(value) for name, value in settings.items()}
    ) as installation:
        yield installation


@pytest.fixture(scope="module")
def shop(house: Installation, images: Images, registry: PrivateRegistry) -> App:
    """An app whose image is of a registry that works."""
    shop = App.create("shop", admin_of(house, "rita@example.com"), registry, house)
    finished = shop.deploy_image(images.web("1"))
    assert finished.returncode == 0, finished.stdout
    return shop


@pytest.fixture
def false() -> Iterator[FalseRegistry]:
    with FalseRegistry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def nothing_changes(shop: App) -> Iterator[None]:
    """Whatever a story does, the app serves what it served, and its next operation works."""
    containers = shop.installation.containers(shop.name)
    yield
    assert shop.installation.containers(shop.name, every=True) == containers
    assert shop.get() == "web 1\n"
    restored = shop.deploy()
    assert restored.returncode == 0, restored.stdout + restored.stderr


SENTENCES = {
    Mood.SILENT: rf"gave no answer about team/app within {ENGINE_SECONDS} s",
    Mood.STALLING: rf"took longer than {PULL_SECONDS} s",
    Mood.FAILING: r"trouble of its own \(500 Internal Server Error\) with team/app",
    Mood.LAYERLESS: rf"longer than {PULL_SECONDS} s, for 127.0.0.1:\d+ failed to deliver 1 layer",
    Mood.LYING: "delivered for team/app is not what its digest promises",
}


@pytest.mark.parametrize("mood", SENTENCES, ids=lambda mood: mood.name.lower())
def test_a_deploy_says_what_is_wrong_with_the_registry(
    mood: Mood, shop: App, false: FalseRegistry
) -> None:
    false.mood = mood
    began = time.monotonic()

    failed = shop.deploy("--docker-image", false.reference)

    took = time.monotonic() - began
    assert failed.returncode == 1
    (error,) = re.findall("ERROR: (.*)", failed.stdout + failed.stderr)
    assert f"{false.address}/{false.repository}" in error
    assert re.search(SENTENCES[mood], error), error
    assert took < max(ENGINE_SECONDS, PULL_SECONDS) + 5


@pytest.mark.parametrize(
    "mood",
    [Mood.SILENT, Mood.STALLING, Mood.LAYERLESS],
    ids=["resolving", "pulling", "asking_again"],
)
def test_a_cancel_ends_a_stalled_pull_at_once(mood: Mood, shop: App, false: FalseRegistry) -> None:
    """No event comes that it could be noticed at."""
    false.mood = mood
    command = ("aptible", "deploy", "--app", shop.handle, "--docker-image", false.reference)
    deploy = shop.owner.start(*command)
    false.wait_until_stalled()
    operation = shop.installation.operations(shop.name)[-1]
    began = time.monotonic()

    shop.owner.aptible("operation:cancel", operation).check_returncode()

    said, _ = deploy.communicate(timeout=30)
    assert time.monotonic() - began < 3
    assert deploy.returncode == 1
    assert "ERROR: Cancelled." in said


def test_once_the_registry_is_well_the_same_image_deploys(
    house: Installation, shop: App, false: FalseRegistry
) -> None:
    app = App.create("other", shop.owner, shop.registry, house)
    false.mood = Mood.LYING
    assert app.deploy("--docker-image", false.reference).returncode == 1
    false.mood = Mood.WELL
    deployed = app.deploy("--docker-image", false.reference)
    assert deployed.returncode == 0, deployed.stdout
    assert app.get() == "web false\n"
