"""The client: real git, as the same person with the same settings towards both servers."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.pushing.repositories import Load
from bench.pushing.servers import BRANCH, Server, Target, Transport, git
from testbed.person import Person

# One thread, so that the client leaves the other processor to the server, every time.
_SETTINGS = ("-c", "pack.threads=1")


class Client:
    """Pushes and keeps the time. ``person`` brings the key, an empty home and its known hosts."""

    def __init__(self, home: Path) -> None:
        self.person = Person(
            "bench@example.com",
            password="",
            home=home,
            url="http://127.0.0.1",
            ssh_port=0,
            environment={"PATH": os.environ["PATH"]},
        )

    def push(
        self, load: Load, commit: str, server: Server, target: Target, over: Transport
    ) -> float:
        """Push one commit; return the seconds. Raises unless the server has it all."""
        command = push_command(load, commit, target.urls[over])
        os.sync()  # what earlier pushes left to write is not this one's to wait for
        seconds = self._time(command)
        check(server, target, commit)
        return seconds

    def attempt(
        self, load: Load, server: Server, target: Target, over: Transport, *, patience: float
    ) -> float | str:
        """Push the last commit; return the seconds, or why it failed within ``patience`` seconds.

        For servers in distress: a push that takes longer is ended, with whatever git started.
        """
        commit = load.commits[-1]
        begin = time.perf_counter()
        push = subprocess.Popen(
            push_command(load, commit, target.urls[over]),
            env=self.person.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, said = push.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(push.pid, signal.SIGKILL)
            push.communicate()
            return f"took longer than {patience:g} s"
        seconds = time.perf_counter() - begin
        if push.returncode != 0:
            return said.strip() or f"git ended with status {push.returncode}"
        check(server, target, commit)
        return seconds

    def clone(self, target: Target, over: Transport, *, commit: str) -> float:
        """Clone everything; return the seconds. Raises unless the clone has the commit."""
        copy = self.person.home / "copy.git"
        os.sync()
        seconds = self._time(["git", "clone", "-q", "--bare", target.urls[over], str(copy)])
        try:
            git(f"--git-dir={copy}", "rev-list", "--objects", "--quiet", commit)
        finally:
            shutil.rmtree(copy)
        return seconds

    def _time(self, command: Sequence[str]) -> float:
        begin = time.perf_counter()
        finished = self.person.run(*command)
        seconds = time.perf_counter() - begin
        if finished.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)} failed:\n{finished.stderr}")
        return seconds


def push_command(load: Load, commit: str, url: str, branch: str = BRANCH) -> list[str]:
    """Return the command that pushes one commit to one branch."""
    here = f"--git-dir={load.path}"
    return ["git", here, *_SETTINGS, "push", "--quiet", url, f"{commit}:{branch}"]


def check(server: Server, target: Target, commit: str, branch: str = BRANCH) -> None:
    """Raise unless the server has the commit and the branch points at it."""
    if server.tip(target, branch) != commit:
        raise RuntimeError(f"{server.name} took a push and has not moved {branch}")
    git(f"--git-dir={target.repository}", "cat-file", "-e", commit)


def discard(target: Target) -> None:
    """Free the disk of a repository that nobody pushes to again."""
    shutil.rmtree(target.repository, ignore_errors=True)
