"""A cancel takes effect at once, wherever the deploy is, and leaves nothing behind (SPEC 6.7)."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ENVIRONMENT
from gate import Gate

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.person import Person, Repository
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

APTIBLE = str(Path(sys.executable).parent / "aptible")
APP = f"{ENVIRONMENT}/patient"
AT_ONCE = 5.0
COMMANDS = {
    "quick": "before_release: echo quick\n",
    "endless": "before_release: echo begun-$((1 + 1)); sleep 300\n",
    "two": "before_release: [echo one, echo two]\n",
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an operation may be held up between two steps."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def patient(engine: PrivateEngine, checkpoints: Path) -> Iterator[Installation]:
    """An installation that looks at new containers for twenty seconds."""
    settings = {"ENCLAVE_SETTLE_SECONDS": "20", "ENCLAVE_CHECKPOINTS": str(checkpoints)}
    with Installation(engine.url, settings=settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def eve(patient: Installation) -> Person:
    """The owner of an app that is pending, with a branch for each of ``COMMANDS``."""
    eve = patient.person("eve@example.com")
    patient.enclave("environment", "create", ENVIRONMENT, "--admin", eve.email)
    eve.log_in()
    eve.aptible("apps:create", "patient", "--environment", ENVIRONMENT).check_returncode()
    repository: Repository = eve.repository(APP)
    for branch, yml in COMMANDS.items():
        repository.commit(branch, Procfile="web: exec serve\n", _aptible_yml=yml)
        assert repository.push(f"master:{branch}").returncode == 0
    return eve


@pytest.fixture
def deploy(
    eve: Person, images: Images, registry: PrivateRegistry
) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``aptible deploy`` of a branch's commands with an image."""

    def start(branch: str, image: str | None = None) -> subprocess.Popen[str]:
        return eve.start(
            *(APTIBLE, "deploy", "--app", "patient", "--git-commitish", branch),
            *("--docker-image", image or images.web("1")),
            *("--private-registry-username", registry.username),
            *("--private-registry-password", registry.password),
        )

    return start


def _hears(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}: {''.join(said)}")


def _record(installation: Installation, operation: str) -> dict[str, str]:
    with installation.redis() as redis:
        return {str(k): str(v) for k, v in redis.hgetall(f"enclave:operation:{operation}").items()}


def _lease(installation: Installation) -> bool:
    with installation.redis() as redis:
        return bool(redis.exists(f"enclave:app:{installation.app_id(APP)}:lease"))


def _cancelled_at_once(eve: Person, patient: Installation, deploy: subprocess.Popen[str]) -> str:
    """Cancel the deploy that runs, and check its end and what is left; return what it said."""
    operation = patient.operations(APP)[-1]
    began = time.monotonic()
    eve.aptible("operation:cancel", operation).check_returncode()
    said, _ = deploy.communicate(timeout=30)
    assert time.monotonic() - began < AT_ONCE, said
    assert deploy.returncode == 1
    record = _record(patient, operation)
    assert (record["status"], record["cancelled"]) == ("failed", "1")
    assert "ERROR: Cancelled." in said
    assert patient.containers(APP, every=True) == []
    assert not _lease(patient)
    return said


Deploy = Callable[..., subprocess.Popen[str]]


def test_while_the_image_is_asked_for(
    eve: Person, patient: Installation, deploy: Deploy, images: Images, registry: PrivateRegistry
) -> None:
    with Gate(registry) as gate:
        pulling = deploy("quick", gate.image(images))
        gate.wait_for_somebody()
        _cancelled_at_once(eve, patient, pulling)


def test_while_a_command_runs_and_the_next_operation_goes_on(
    eve: Person, patient: Installation, deploy: Deploy
) -> None:
    running = deploy("endless")
    _hears(running, "begun-2")
    following = deploy("endless")
    _hears(following, "queued behind")
    first, second = patient.operations(APP)[-2:]
    began = time.monotonic()
    eve.aptible("operation:cancel", first).check_returncode()
    running.communicate(timeout=30)
    assert time.monotonic() - began < AT_ONCE
    assert _record(patient, first)["cancelled"] == "1"
    _hears(following, "begun-2")
    operations = {each["operation"] for each in patient.containers(APP, every=True)}
    assert operations == {second}
    _cancelled_at_once(eve, patient, following)


def test_between_two_commands(
    eve: Person, patient: Installation, deploy: Deploy, checkpoints: Path
) -> None:
    (checkpoints / "before_release 2.armed").touch()
    held = checkpoints / "before_release 2.held"
    between = deploy("two")
    wait_until(held.exists, seconds=30, what="the second command was not reached")
    operation = patient.operations(APP)[-1]
    eve.aptible("operation:cancel", operation).check_returncode()
    held.unlink()
    said, _ = between.communicate(timeout=30)
    assert between.returncode == 1
    assert "\none\n" in said
    assert "\ntwo\n" not in said
    assert _record(patient, operation)["cancelled"] == "1"
    assert patient.containers(APP, every=True) == []
    assert not _lease(patient)


def test_while_the_new_containers_are_looked_at(
    eve: Person, patient: Installation, deploy: Deploy
) -> None:
    settling = deploy("quick")
    _hears(settling, "STARTING: Waiting for the new containers to settle")
    assert len(patient.containers(APP)) == 1
    _cancelled_at_once(eve, patient, settling)
