"""Nothing accepted is ever lost, whoever dies; pushing again tells the truth (SPEC 2.3)."""

import signal
import subprocess
import time

import pytest
from conftest import App

from testbed.processes import wait_until

SLOW = "before_release: echo begun; sleep 9\n"
_DEADLINE = 60


def _push_and_wait_for(app: App, words: str) -> subprocess.Popen[str]:
    process = app.owner.start("git", "push", "aptible", "master", cwd=app.repository.path)
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return process
    raise AssertionError(f"the push ended without {words!r}")


def _moves_to(app: App, commit: str) -> None:
    wait_until(
        lambda: app.repository.remote_refs() == {"refs/heads/master": commit},
        seconds=_DEADLINE,
        what="the ref did not move",
    )


def test_killing_the_client_does_not_stop_the_deploy(live_app: App) -> None:
    commit = live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    push = _push_and_wait_for(live_app, "remote: begun")
    push.send_signal(signal.SIGKILL)
    push.wait(10)
    assert live_app.repository.remote_refs() == {}

    _moves_to(live_app, commit)
    live_app.comes_to_serve(web=1)


def test_pushing_again_attaches_to_the_deploy_under_way(live_app: App) -> None:
    commit = live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    push = _push_and_wait_for(live_app, "remote: begun")
    push.send_signal(signal.SIGINT)
    push.wait(10)

    again = live_app.repository.push()

    assert again.returncode == 0, again.stderr
    assert "is deploying this commit already" in again.stderr
    assert again.stderr.count("remote: begun") == 1  # from the beginning, and once
    assert live_app.repository.remote_refs() == {"refs/heads/master": commit}
    # the live image, this deploy: two operations in all
    assert len(live_app.installation.operations(live_app.name)) == 2


@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_killing_the_receiver_does_not_stop_the_deploy(transport: str, live_app: App) -> None:
    if transport == "http":
        _push_over_http(live_app)
    commit = live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    push = _push_and_wait_for(live_app, "remote: begun")

    live_app.installation.kill("receiver")

    assert push.wait(30) != 0  # it may not say ok: it does not know
    live_app.installation.wait_until_answering()
    _moves_to(live_app, commit)
    live_app.comes_to_serve(web=1)
    assert live_app.repository.push().returncode == 0


def test_killing_redis_loses_nothing(live_app: App) -> None:
    commit = live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    push = _push_and_wait_for(live_app, "remote: begun")

    live_app.installation.kill("redis-server")

    said, _ = push.communicate(timeout=_DEADLINE)
    assert push.returncode == 0, said
    _moves_to(live_app, commit)
    live_app.comes_to_serve(web=1)


def test_killing_the_workers_settles_the_operation_and_the_next_one_runs(live_app: App) -> None:
    live_app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    push = _push_and_wait_for(live_app, "remote: begun")

    live_app.installation.kill("worker")

    said, _ = push.communicate(timeout=_DEADLINE)
    assert push.returncode == 1, said
    assert "vanished" in said
    assert live_app.repository.remote_refs() == {}
    assert live_app.serving() == {"cmd": 1}
    assert live_app.get() == "web 1\n"
    again = live_app.repository.push()
    assert again.returncode == 0, again.stderr
    live_app.comes_to_serve(web=1)


def test_a_silent_client_hears_keep_alives_and_the_outcome(live_app: App) -> None:
    """SPEC 2.13: during silence there is a packet every five seconds."""
    live_app.repository.commit(
        Procfile="web: exec serve\n", _aptible_yml="before_release: sleep 12\n"
    )
    environment = {**live_app.owner.environment, "GIT_TRACE_PACKET": "1"}
    live_app.owner.environment = environment
    try:
        pushed = live_app.repository.push()
    finally:
        environment.pop("GIT_TRACE_PACKET")
    assert pushed.returncode == 0, pushed.stderr
    empty = [line for line in pushed.stderr.splitlines() if line.endswith("< \\1")]
    assert len(empty) >= 2, pushed.stderr[-2000:]


def test_cancelling_ends_a_running_deploy_at_once_and_rolls_back(live_app: App) -> None:
    live_app.repository.commit(
        Procfile="web: exec serve\n", _aptible_yml="before_release: echo begun; sleep 300\n"
    )
    push = _push_and_wait_for(live_app, "remote: begun")
    operation = live_app.installation.operations(live_app.name)[-1]

    began = time.monotonic()
    cancelled = live_app.owner.aptible("operation:cancel", operation)

    assert cancelled.returncode == 0, cancelled.stderr
    said, _ = push.communicate(timeout=_DEADLINE)
    assert time.monotonic() - began < 30
    assert push.returncode == 1
    assert "cancelled" in said.lower()
    assert live_app.serving() == {"cmd": 1}
    assert len(live_app.installation.containers(live_app.name, every=True)) == 1
    assert live_app.deploy().returncode == 0


def _push_over_http(app: App) -> None:
    """Point the remote at HTTP, with the token that ``aptible login`` stored."""
    url = app.owner.http_remote(app.name)
    app.repository.git("remote", "set-url", "aptible", url).check_returncode()
