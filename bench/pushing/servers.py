"""What both servers have in common: targets to push to, and how a push is checked afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

BRANCH = "refs/heads/topic"  # not the deploy branch: a push stores and reports, nothing deploys
_SECONDS = 60


class Transport(StrEnum):
    """How the client reaches the server."""

    SSH = "SSH"
    HTTP = "HTTP"


@dataclass(frozen=True, slots=True)
class Target:
    """An empty repository on a server: its URL by transport, its path on this machine."""

    name: str
    urls: dict[Transport, str]
    repository: Path


class Server(Protocol):
    """A git server that is up."""

    name: str

    @property
    def pids(self) -> Sequence[int]:
        """The processes that serve, without their children."""

    def new_target(self, name: str) -> Target:
        """Make an empty repository."""

    def make_repository(self, target: Target) -> None:
        """Make now whatever else the first push to the target would make."""

    def tip(self, target: Target, branch: str = BRANCH) -> str:
        """Return where ``branch`` points now, ``""`` when there is no such ref."""

    def restart(self) -> None:
        """Begin anew, with the memory of a fresh process."""


def git(*arguments: str) -> str:
    """Run git with a deadline; return what it printed."""
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, timeout=_SECONDS
    ).stdout.strip()
