"""Workers that are stopped, or freeze, in mid-deploy: the deploy goes on, once (SPEC 2.3, 6.1)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import App
from gate import Gate

from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

APTIBLE = str(Path(sys.executable).parent / "aptible")
_DEADLINE = 60
SLOW = "before_release: echo begun-$((1 + 1)); sleep 5\n"


def _start_push(app: App) -> subprocess.Popen[str]:
    return app.owner.start("git", "push", "aptible", "master", cwd=app.repository.path)


def _hears(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")


def _horse(installation: Installation) -> tuple[int, int]:
    """Return the process that runs the one operation that runs, and its worker's."""
    (pair,) = installation.work_horses().items()
    return pair


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def _lease(app: App) -> dict[str, str]:
    with app.installation.redis() as redis:
        found = redis.hgetall(f"enclave:app:{app.installation.app_id(app.name)}:lease")
    return {str(name): str(value) for name, value in found.items()}


def _lines(app: App, operation: str) -> list[str]:
    return app.owner.aptible("operation:logs", operation).stdout.splitlines()


def test_a_worker_that_is_stopped_finishes_what_it_runs_and_begins_nothing(
    live_app: App, new_app: Callable[[], App]
) -> None:
    other, installation = new_app(), live_app.installation
    assert other.deploy_image(f"{other.registry.address}/web:1").returncode == 0
    live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    push = _start_push(live_app)
    _hears(push, "remote: begun-2")
    horse, worker = _horse(installation)

    os.kill(worker, signal.SIGTERM)

    # Meanwhile others work, and it takes nothing of it.
    assert other.deploy().returncode == 0
    assert [pid for pid, of in installation.work_horses().items() if of == worker] == [horse]
    said, _ = push.communicate(timeout=_DEADLINE)
    assert push.returncode == 0, said
    live_app.comes_to_serve(web=1)
    wait_until(lambda: _is_gone(worker), seconds=20, what="the worker did not end")
    assert other.deploy().returncode == 0


def test_a_pull_that_its_worker_cannot_finish_is_another_workers(
    live_app: App, images: Images, registry: PrivateRegistry
) -> None:
    installation = live_app.installation
    with Gate(registry) as gate:
        commit = live_app.repository.commit(Procfile="web: exec serve\n")
        assert live_app.repository.push("master:topic").returncode == 0
        image = gate.image(images, "2")
        deploy = live_app.owner.start(
            *(APTIBLE, "deploy", "--app", live_app.handle, "--git-commitish", "topic"),
            *("--docker-image", image),
            *("--private-registry-username", registry.username),
            *("--private-registry-password", registry.password),
        )
        gate.wait_for_somebody()
        _, worker = _horse(installation)
        fence = _lease(live_app)["fence"]

        os.kill(worker, signal.SIGTERM)

        wait_until(lambda: _is_gone(worker), seconds=20, what="the worker did not end")
        gate.open()
        said, _ = deploy.communicate(timeout=_DEADLINE)
    assert deploy.returncode == 0, said
    assert "INFO: The worker is being stopped: another one takes over." in said
    assert "ERROR" not in said
    assert "vanished" not in said
    live_app.comes_to_serve(web=1)
    assert live_app.get() == "web 2\n"
    (container,) = installation.containers(live_app.name, every=True)
    assert f".f{fence}." not in container["name"]
    assert commit in live_app.repository.remote_refs().values()


def _thaws_and_leaves_nothing(app: App, horse: int, operation: str) -> None:
    """Let a frozen work horse go on, and look at what stays of it once it has ended."""
    lines = _lines(app, operation)
    fences = {_fence(each["name"]) for each in app.installation.containers(app.name, every=True)}
    refs, serving = app.repository.remote_refs(), app.serving()

    os.kill(horse, signal.SIGCONT)

    wait_until(lambda: _is_gone(horse), seconds=30, what="the frozen worker did not end")
    containers = app.installation.containers(app.name, every=True)
    assert {_fence(each["name"]) for each in containers} == fences
    assert app.serving() == serving
    assert app.repository.remote_refs() == refs
    assert _lines(app, operation) == lines
    assert _lease(app) == {}


def _fence(name: str) -> str:
    """The number of the lease under which a container was made, of its name."""
    return next(part for part in name.split(".") if part[0] == "f" and part[1:].isdecimal())


def test_a_worker_that_freezes_while_it_pulls_is_replaced_and_harms_nothing(
    app: App, images: Images, registry: PrivateRegistry
) -> None:
    with Gate(registry) as gate:
        gate.open()
        assert app.deploy_image(gate.image(images)).returncode == 0
        gate.close()
        commit = app.repository.commit(Procfile="web: exec serve\n")
        push = _start_push(app)
        gate.wait_for_somebody()
        horse, _ = _horse(app.installation)
        fence = _lease(app)["fence"]

        os.kill(horse, signal.SIGSTOP)

        wait_until(
            lambda: _lease(app)["fence"] != fence, seconds=30, what="nobody took the lease over"
        )
        gate.open()
        said, _ = push.communicate(timeout=_DEADLINE)
    assert push.returncode == 0, said
    assert "WARN: The worker that ran this operation vanished." in said
    assert app.repository.remote_refs() == {"refs/heads/master": commit}
    app.comes_to_serve(web=1)
    operation = app.installation.operations(app.name)[-1]
    _thaws_and_leaves_nothing(app, horse, operation)
    assert _lines(app, operation)[-1] == "INFO: Deploy succeeded."


def test_a_worker_that_freezes_in_mid_deploy_is_undone_and_harms_nothing(live_app: App) -> None:
    live_app.repository.commit(
        Procfile="web: exec serve\n",
        _aptible_yml="before_release: echo begun-$((1 + 1)); sleep 300\n",
    )
    push = _start_push(live_app)
    _hears(push, "remote: begun-2")
    horse, _ = _horse(live_app.installation)

    os.kill(horse, signal.SIGSTOP)

    said, _ = push.communicate(timeout=_DEADLINE)
    assert push.returncode == 1, said
    assert "vanished in mid-deploy" in said
    assert live_app.serving() == {"cmd": 1}
    assert live_app.repository.remote_refs() == {}
    _thaws_and_leaves_nothing(live_app, horse, live_app.installation.operations(live_app.name)[-1])
    assert live_app.deploy().returncode == 0
