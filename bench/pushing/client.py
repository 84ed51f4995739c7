"""The client: real git, as the same person with the same settings towards both servers."""

from __future__ import annotations

import os
import shutil
import time
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
        command = ["git", f"--git-dir={load.path}", *_SETTINGS, "push", "--quiet"]
        os.sync()  # what earlier pushes left to write is not this one's to wait for
        begin = time.perf_counter()
        finished = self.person.run(*command, target.urls[over], f"{commit}:{BRANCH}")
        seconds = time.perf_counter() - begin
        if finished.returncode != 0:
            raise RuntimeError(f"a push to {server.name} failed:\n{finished.stderr}")
        if server.tip(target) != commit:
            raise RuntimeError(f"{server.name} took a push and has not moved {BRANCH}")
        git(f"--git-dir={target.repository}", "cat-file", "-e", commit)
        return seconds


def discard(target: Target) -> None:
    """Free the disk of a repository that nobody pushes to again."""
    shutil.rmtree(target.repository, ignore_errors=True)
