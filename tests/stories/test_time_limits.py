"""A deploy that takes too long is ended and undone, and says what was slow; many may watch it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from conftest import ENVIRONMENT, App

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.registry import PrivateRegistry

STEP, WHOLE = 4, 9
FOLLOWERS = 20
PROCFILE = "web: exec serve\n"


@pytest.fixture(scope="module")
def hasty(engine: PrivateEngine) -> Iterator[Installation]:
    """An installation of two receivers that gives commands, and operations, little time."""
    settings = {
        "ENCLAVE_COMMAND_SECONDS": str(STEP),
        "ENCLAVE_OPERATION_SECONDS": str(WHOLE),
        "ENCLAVE_RECEIVERS": "2",
    }
    with Installation(engine.url, settings=settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def app(hasty: Installation, images: Images, registry: PrivateRegistry) -> App:
    """An app that is live there."""
    eve = hasty.person("eve@example.com")
    hasty.enclave("environment", "create", ENVIRONMENT, "--admin", eve.email)
    eve.log_in()
    eve.aptible("apps:create", "hasty", "--environment", ENVIRONMENT).check_returncode()
    repository = eve.repository(f"{ENVIRONMENT}/hasty")
    app = App("hasty", eve, repository, registry, hasty)
    finished = app.deploy_image(images.web("1"))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return app


def _lease(app: App) -> bool:
    with app.installation.redis() as redis:
        return bool(redis.exists(f"enclave:app:{app.installation.app_id(app.name)}:lease"))


def _is_as_before(app: App) -> None:
    assert app.serving() == {"cmd": 1}
    assert app.get() == "web 1\n"
    assert len(app.installation.containers(app.name, every=True)) == 1
    assert app.repository.remote_refs() == {}
    assert not _lease(app)


def test_a_command_that_takes_too_long_is_named(app: App) -> None:
    app.repository.commit(Procfile=PROCFILE, _aptible_yml="before_release: echo a; sleep 300\n")
    pushed = app.repository.push()
    assert pushed.returncode != 0
    assert f"did not end within {STEP} s and was killed. (echo a; sleep 300)" in pushed.stderr
    assert "release 1 serves on, as before" in pushed.stderr.lower()
    _is_as_before(app)


def test_a_deploy_that_takes_too_long_names_its_slowest_step(app: App) -> None:
    commands = (
        "[sleep 1, sleep 2.5, sleep 1.1, sleep 1.2, sleep 1.3, sleep 1.4, sleep 1.5, sleep 1.6]"
    )
    app.repository.commit(Procfile=PROCFILE, _aptible_yml=f"before_release: {commands}\n")
    pushed = app.repository.push()
    assert pushed.returncode != 0
    assert f"The operation took longer than {WHOLE} s." in pushed.stderr
    assert "Its slowest step: before_release 2 of 8: sleep 2.5 (" in pushed.stderr
    assert "release 1 serves on, as before" in pushed.stderr.lower()
    _is_as_before(app)


def test_all_who_follow_hear_the_same_from_the_beginning_and_the_outcome(app: App) -> None:
    """They come while it runs, to two receivers; each connection is of whichever took it."""
    count = "for number in 1 2 3 4 5 6 7 8; do echo line $number; sleep 0.3; done"
    yml = f"before_release: ['{count}', sleep 3]\n"
    app.repository.commit(Procfile=PROCFILE, _aptible_yml=yml)
    push = app.owner.start("git", "push", "aptible", "master", cwd=app.repository.path)
    assert push.stdout is not None
    said = []
    for line in push.stdout:
        said.append(line)
        if "remote: line 1" in line:
            break
    operation = app.installation.operations(app.name)[-1]
    address = f"{app.installation.url}/operations/{operation}/events"
    headers = {"Authorization": f"Bearer {app.owner.token()}"}

    def follow(_: int) -> list[tuple[str, str]]:
        with httpx.stream("GET", address, headers=headers, timeout=30, trust_env=False) as answer:
            events = [json.loads(line) for line in answer.iter_lines()]
        return [
            (kind, str(event[kind]))
            for event in events
            for kind in ("line", "end")
            if kind in event
        ]

    with ThreadPoolExecutor(FOLLOWERS) as pool:
        following = [pool.submit(follow, number) for number in range(FOLLOWERS)]
        again = app.repository.push()  # two more, who attach to it by git
        rest, _ = push.communicate(timeout=60)
        heard = [each.result(60) for each in following]

    assert heard[0][-2:] == [("line", "INFO: Deploy succeeded."), ("end", "succeeded")]
    assert all(each == heard[0] for each in heard)
    lines = [text for kind, text in heard[0] if kind == "line"]
    assert [line for line in lines if line.startswith("line ")] == [
        f"line {number}" for number in range(1, 9)
    ]
    assert (push.returncode, again.returncode) == (0, 0), rest + again.stderr
    for remote in ("".join(said) + rest, again.stderr):
        shown = [line.removeprefix("remote: ").rstrip() for line in remote.splitlines()]
        assert [line for line in shown if line in lines] == lines
