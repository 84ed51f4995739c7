"""The other judge: git-receive-pack itself, with every check it has."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

from testbed.hostile.push import HostilePush

_SECONDS = 60
_ADDRESS_SPACE = 2 << 30
_STACK = 8 << 20  # what every Linux gives: how deep git can recurse is part of its verdict
_SETTINGS = {
    "receive.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    "receive.unpackLimit": "1",  # index-pack, as ours, whatever the pack's size
    "receive.autogc": "false",
    "core.fsync": "none",
}


class CGit:
    """A repository that holds one push, the seed, to try others on: each on a copy of its own."""

    def __init__(self, folder: Path, seed: HostilePush) -> None:
        self._folder = folder
        self._seeded = folder / "seeded.git"
        self._run(["git", "init", "-q", "--bare", "--template=", str(self._seeded)])
        for name, value in _SETTINGS.items():
            self._run(["git", "-C", str(self._seeded), "config", name, value])
        self._receive(seed, self._seeded)

    def answer(self, push: HostilePush) -> bytes:
        """Push, and return what the client would read; nothing stays."""
        copy = self._folder / "copy.git"
        shutil.copytree(self._seeded, copy)
        try:
            return self._receive(push, copy)
        finally:
            shutil.rmtree(copy)

    def _receive(self, push: HostilePush, repository: Path) -> bytes:
        arguments = ["git", "receive-pack", "--stateless-rpc", str(repository)]
        return self._run(arguments, push.request)

    def _run(self, arguments: list[str], sent: bytes = b"") -> bytes:
        """Run git; what it thinks of a push is in its answer, not in its status."""
        return subprocess.run(
            arguments,
            input=sent,
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "HOME": str(self._folder),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
            },
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            preexec_fn=_limit,
        ).stdout


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(
        resource.RLIMIT_STACK, (_STACK, resource.getrlimit(resource.RLIMIT_STACK)[1])
    )
