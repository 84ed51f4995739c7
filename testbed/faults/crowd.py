"""People who push and deploy all the time, and remember what they were told."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.faults.cells import Told
from testbed.faults.platform import ShakyPlatform
from testbed.faults.witness import Witness
from testbed.person import Repository

_CLIENT_SECONDS = 120
_AGAIN = 3  # times somebody asks who was told nothing
_PAUSE = 0.5
_PROCFILE = "web: exec serve\nclock: sleep 600\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """One push, or one deploy: what for (a commit, a mark) and what came of it, last."""

    what: str
    told: Told
    said: str
    branch: str = "master"


class Crowd:
    """Two apps that are pushed to, one that is deployed; a thread each."""

    def __init__(self, platform: ShakyPlatform, *, seed: int, directory: Path) -> None:
        self._platform, self._seed, self._directory = platform, seed, directory
        self.pushed_apps = [platform.create_app(f"pushed-{number}") for number in (1, 2)]
        self.deployed_app = platform.create_app("deployed")
        self.told: dict[str, list[Asked]] = {app: [] for app in self.apps}
        self.hung: list[str] = []
        self.witness = Witness()
        self._clients: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._resources = ExitStack()
        self._threads = [
            *(threading.Thread(target=self._push_on, args=(app,)) for app in self.pushed_apps),
            threading.Thread(target=self._deploy_on, args=(self.deployed_app,)),
        ]

    @property
    def apps(self) -> list[str]:
        """``ENVIRONMENT/APP`` of all."""
        return [*self.pushed_apps, self.deployed_app]

    def asked(self) -> int:
        """Return how many were told something, or nothing, by now."""
        return sum(map(len, self.told.values()))

    def some_client(self, number: int) -> subprocess.Popen[str] | None:
        """Return a client that runs now, if there is one."""
        with self._lock:
            living = [client for client in self._clients if client.poll() is None]
        return living[number % len(living)] if living else None

    def stop(self) -> None:
        """Return when nobody asks for anything any more. What was asked for may go on."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        self._resources.enter_context(self.witness)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._resources.close()

    def _push_on(self, app: str) -> None:
        chance = random.Random(f"{self._seed} {app}")  # noqa: S311 -- no secret
        repository = self._platform.ann.repository(app)
        number = 0
        while not self._over.wait(chance.uniform(0, 0.5)):
            number += 1
            witnessed = self.witness.command(f"/{app}/{number}")
            commit = repository.commit(
                f"change {number}",
                Procfile=_PROCFILE,
                _aptible_yml=f"before_release: {json.dumps(witnessed)}\n",
            )
            branch = "staging" if chance.random() < 0.3 else "master"
            self._push(app, repository, commit, branch)

    def _push(self, app: str, repository: Repository, commit: str, branch: str) -> None:
        """Push, and again while nobody says what became of it: that is what people do."""
        command = ["git", "push", "aptible", f"+{commit}:refs/heads/{branch}"]
        for _ in range(_AGAIN):
            status, said = self._run(command, repository.path)
            told = Told.NG if "[remote rejected]" in said else Told.NO_VERDICT
            told = Told.OK if status == 0 else told
            if told is not Told.NO_VERDICT or self._over.wait(_PAUSE):
                break
        self.told[app].append(Asked(commit, told, said, branch))

    def _deploy_on(self, app: str) -> None:
        chance = random.Random(f"{self._seed} {app}")  # noqa: S311 -- no secret
        aptible, handle = str(Path(sys.executable).parent / "aptible"), app.partition("/")[2]
        number = 0
        while not self._over.wait(chance.uniform(0, 1.0)):
            number += 1
            command = [aptible, "deploy", "--app", handle, f"MARK={number}"]
            status, said = self._run(command, self._directory)
            found = re.search(r"\(operation #(\d+)\)", said)
            told = Told.OK if status == 0 else Told.NO_VERDICT
            told = Told.NG if found and f"Operation #{found[1]} failed." in said else told
            self.told[app].append(Asked(found[1] if found else "", told, said))

    def _run(self, command: Sequence[str], directory: Path) -> tuple[int, str]:
        client = subprocess.Popen(
            command,
            cwd=directory,
            env=self._platform.ann.environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with self._lock:
            self._clients = [each for each in self._clients if each.poll() is None] + [client]
        try:
            said, _ = client.communicate(timeout=_CLIENT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(client.pid, signal.SIGKILL)
            said, _ = client.communicate()
            self.hung.append(f"{' '.join(command)}: {said[-1000:]}")
        return client.returncode, said
