"""Whoever waits knows for what, in which place, and hears of it when that changes (SPEC 2.7)."""

import re
import subprocess
import sys
import time
from pathlib import Path

from conftest import App
from terminal import Screen

from testbed.processes import wait_until

_DEADLINE = 60
AHEAD = r"queued behind operation (\d+) \(deploy by ann@example.com, (waiting|running for \d+s)\)"


def _start_push(app: App) -> subprocess.Popen[str]:
    return app.owner.start("git", "push", "aptible", "master", cwd=app.repository.path)


def _hears(process: subprocess.Popen[str], words: str) -> str:
    """Return the first line with these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}")


def _times(app: App, operation: str) -> tuple[str, str]:
    with app.installation.redis() as redis:
        record = redis.hgetall(f"enclave:operation:{operation}")
    return str(record["started_at"]), str(record["ended_at"])


def _commit(app: App, command: str) -> str:
    yml = f"before_release: '{command}'\n"
    return app.repository.commit(command, Procfile="web: exec serve\n", _aptible_yml=yml)


def test_pushes_three_deep_see_the_queue_move_and_run_in_order(live_app: App) -> None:
    owner, repository = live_app.owner, live_app.repository
    _commit(live_app, "echo first; sleep 6")
    first = _start_push(live_app)
    _hears(first, "remote: first")
    _commit(live_app, "echo second; sleep 3")
    push = ["git", "push", "aptible", "master"]
    second = Screen(push, cwd=repository.path, environment=owner.environment, columns=200)
    second.shows("position 1")
    last = _commit(live_app, "echo third")
    third = _start_push(live_app)

    said, _ = third.communicate(timeout=_DEADLINE)

    assert third.returncode == 0, said
    assert first.wait(_DEADLINE) == 0
    assert second.ends() == 0
    assert repository.remote_refs() == {"refs/heads/master": last}
    one, two, three = live_app.installation.operations(live_app.name)[-3:]
    for (_, ended), (started, _) in (
        (_times(live_app, one), _times(live_app, two)),
        (_times(live_app, two), _times(live_app, three)),
    ):
        assert ended <= started
    # In a pipe: a line each time the queue moves, and no more however long it takes.
    told = re.findall(AHEAD + r"; position (\d)", said)
    assert [(ahead, position) for ahead, _, position in told] == [(two, "2"), (two, "1")], said
    assert told[0][1] == "waiting"
    assert told[1][1].startswith("running for")
    assert "\r" not in said
    # On a terminal: the time goes on in one place.
    assert f"queued behind operation {one} (deploy by ann@example.com, running for" in (
        second.written
    )
    drawn = re.findall(AHEAD + r"; position 1\.[^\n\r]*\r", second.written)
    seconds = [int(re.sub(r"\D", "", state)) for _, state in drawn]
    assert seconds
    assert seconds == sorted(set(seconds))
    lines = [line for line in second.written.split("\n") if "\r" not in line and "queued" in line]
    assert len(lines) == 1, second.written


def test_a_deploy_that_waits_says_the_same_until_it_is_cancelled(live_app: App) -> None:
    owner, app = live_app.owner, live_app.handle
    aptible = str(Path(sys.executable).parent / "aptible")
    _commit(live_app, "echo begun; sleep 300")
    running = _start_push(live_app)
    _hears(running, "remote: begun")
    deploy = owner.start(aptible, "deploy", "--app", app, "A=1")
    word = _hears(deploy, "queued behind")
    ahead, waiting = live_app.installation.operations(live_app.name)[-2:]
    assert re.fullmatch(f"INFO: {AHEAD}; position 1.\n", word)
    assert f"operation {ahead} " in word
    follower = owner.start(aptible, "operation:follow", waiting)
    assert f"queued behind operation {ahead} " in _hears(follower, "queued behind")

    began = time.monotonic()
    cancelled = owner.aptible("operation:cancel", waiting)

    assert cancelled.returncode == 0, cancelled.stderr
    for process in (deploy, follower):
        rest, _ = process.communicate(timeout=10)
        assert process.returncode == 1
        assert "ERROR: Cancelled by ann@example.com." in rest
        assert f"Operation #{waiting} failed." in rest
    assert time.monotonic() - began < 10
    assert running.poll() is None
    owner.aptible("operation:cancel", ahead).check_returncode()
    assert running.wait(_DEADLINE) == 1
    assert live_app.serving() == {"cmd": 1}
    wait_until(lambda: not _lease(live_app), seconds=10, what="the lease was kept")


def _lease(app: App) -> bool:
    with app.installation.redis() as redis:
        return bool(redis.exists(f"enclave:app:{app.installation.app_id(app.name)}:lease"))
