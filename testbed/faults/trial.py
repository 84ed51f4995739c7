"""One cell: a push is stopped at a step, a victim killed there, and the end compared."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import docker
import httpx
import redis
import requests

from testbed.faults.cells import AFTER, Ending, Expected, Step, Told, Victim, expected
from testbed.faults.platform import ShakyPlatform
from testbed.faults.state import AppState, app_state
from testbed.person import Repository
from testbed.processes import wait_until

SETTLED_SECONDS = 30
"""From the victim's being back until everything is as it must be."""

_STEP_SECONDS = 30
_PROCFILE = "web: exec serve\nclock: sleep 600\n"
_SLOW = "before_release:\n  - 'echo begun; sleep 1'\n  - 'echo begun again'\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell. ``seconds`` is how long it took from the victim's being back."""

    victim: Victim
    step: Step
    expected: Expected
    told: Told
    seconds: float
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the cell ended as it was written."""
        return not self.problems


class Trials:
    """Runs cells, one after the other, on one platform; each finds what the one before left."""

    def __init__(self, platform: ShakyPlatform) -> None:
        self._platform = platform
        self._numbers = count(1)
        self._app, self._repository = self._new_app()
        self._commits = count(1)

    def run(self, victim: Victim, step: Step) -> Outcome:
        """Run a cell. A cell that goes wrong gets its problems told, and the next a new app."""
        outcome = self._run(victim, step)
        if not outcome.passed:
            self._app, self._repository = self._new_app()
        return outcome

    def _run(self, victim: Victim, step: Step) -> Outcome:
        platform, wanted = self._platform, expected(victim, step)
        before = app_state(platform.installation, self._app)
        commit = self._commit(f"{victim} at {step}", _SLOW)
        said = platform.installation.directory / "push.log"
        push = self._push(said)
        try:
            self._reach(step, push, said)
            platform.kill(victim, push)
            platform.bring_back(victim)
        finally:
            platform.checkpoints.let_go()
        back = time.monotonic()
        told = self._told(push, said)
        problems = self._settle(wanted, before, commit, back + SETTLED_SECONDS)
        seconds = time.monotonic() - back
        if told is not wanted.told:
            problems.append(f"the pusher was told {told}, not {wanted.told}: {_tail(said)}")
        problems += self._next_operation()
        return Outcome(victim, step, wanted, told, seconds, tuple(problems))

    def _new_app(self) -> tuple[str, Repository]:
        app = self._platform.create_app(f"shop-{next(self._numbers)}")
        repository = self._platform.ann.repository(app)
        repository.commit(Procfile=_PROCFILE)
        first = repository.push()
        if first.returncode:
            raise AssertionError(first.stderr)
        routed = self._platform.ann.aptible(
            *("endpoints:https:create", "--app", app.partition("/")[2], "web", "--default-domain")
        )
        if routed.returncode:
            raise AssertionError(routed.stdout + routed.stderr)
        return app, repository

    def _commit(self, message: str, hooks: str) -> str:
        number = next(self._commits)
        files = {"Procfile": _PROCFILE, "_aptible_yml": hooks, "number": f"{number}\n"}
        return self._repository.commit(message, **files)

    def _push(self, said: Path) -> subprocess.Popen[str]:
        """Start a push in a session of its own: the client is git and its ssh together."""
        with said.open("w") as output:
            return subprocess.Popen(
                ["git", "push", "aptible", "master"],
                cwd=self._repository.path,
                env=self._platform.ann.environment,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _reach(self, step: Step, push: subprocess.Popen[str], said: Path) -> None:
        if step is Step.DURING_1:
            wait_until(
                lambda: "remote: begun" in said.read_text(errors="replace"),
                seconds=_STEP_SECONDS,
                what="the command did not begin",
            )
            return
        if step is Step.TRANSACTION_SENT:
            self._platform.checkpoints.arm(Step.QUEUED)  # else the worker would be somewhere
        self._platform.checkpoints.arm(step)
        self._platform.checkpoints.wait_held(step)
        if step in AFTER:
            push.wait(_STEP_SECONDS)

    def _told(self, push: subprocess.Popen[str], said: Path) -> Told:
        try:
            status = push.wait(SETTLED_SECONDS)
        except subprocess.TimeoutExpired:
            push.kill()
            return Told.NO_VERDICT
        if status == 0:
            return Told.OK
        return Told.NG if "[remote rejected]" in said.read_text() else Told.NO_VERDICT

    def _settle(
        self, wanted: Expected, before: AppState, commit: str, deadline: float
    ) -> list[str]:
        """Return what is still wrong at the deadline; nothing as soon as nothing is."""
        problems = ["nothing could be read"]
        while problems and time.monotonic() < deadline:
            try:
                problems = self._problems(wanted, before, commit)
            except (redis.RedisError, docker.errors.DockerException, requests.RequestException):
                problems = ["the store or the Engine does not answer"]
            time.sleep(0.05)
        return problems

    def _problems(self, wanted: Expected, before: AppState, commit: str) -> list[str]:
        now = app_state(self._platform.installation, self._app)
        problems = now.under_way + now.not_whole
        new = [status for each, status in now.operations if (each, status) not in before.operations]
        ended = [] if wanted.ending is Ending.NOTHING else [wanted.ending.value]
        if new != ended:
            problems.append(f"the new operations are {new}, not {ended}")
        moved = wanted.ending is Ending.SUCCEEDED
        if now.ref != (commit if moved else before.ref):
            problems.append(f"master is {now.ref}, {'un' if moved else ''}moved")
        if now.release_commit != now.ref:
            problems.append(f"release {now.release} is of {now.release_commit}, not of master")
        elif not problems and f"APTIBLE_GIT_REF={now.release_commit}" not in self._routed_page():
            problems.append(f"the endpoint does not lead to release {now.release}")
        return problems

    def _routed_page(self) -> str:
        """Return the environment of whatever the endpoint leads to; empty for no answer."""
        installation = self._platform.installation
        host = f"app-{installation.app_id(self._app)}.localhost"
        try:
            return httpx.get(
                f"http://127.0.0.1:{installation.router_http_port}/cgi-bin/env",
                headers={"Host": host},
                timeout=5,
                trust_env=False,
            ).text
        except httpx.HTTPError:
            return ""

    def _next_operation(self) -> list[str]:
        """Push once more, without anybody dying."""
        self._commit("the next one", "")
        pushed = self._repository.push()
        if pushed.returncode:
            return [f"the next push failed: {pushed.stderr[-500:]}"]
        head = self._repository.git("rev-parse", "HEAD").stdout.strip()
        serves = f"APTIBLE_GIT_REF={head}" in self._routed_page()
        return [] if serves else ["the next release does not serve"]


def _tail(said: Path) -> str:
    return " / ".join(said.read_text(errors="replace").splitlines()[-6:])
