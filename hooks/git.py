"""The git program as a child process: where it finds objects, and what it may not see."""

from __future__ import annotations

import os
import resource
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Objects:
    """Where an app's objects are: the bare repository, and a push's quarantine on top of it.

    In a quarantine, git writes there and finds the repository's own objects as an alternate.
    ``shared`` is where a repository's objects are when they are not in its own folder.
    """

    repository: Path
    quarantine: Path | None = None
    shared: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return the whole environment for a git child: no user's or system's configuration."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_DIR": str(self.repository),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_REPLACE_OBJECTS": "1",
            # Packs are mapped in small windows, so that a child whose memory is limited can read
            # one that is larger (git-config(1)).
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "core.packedGitWindowSize",
            "GIT_CONFIG_VALUE_0": "32m",
            "GIT_CONFIG_KEY_1": "core.packedGitLimit",
            "GIT_CONFIG_VALUE_1": "256m",
        }
        if self.shared is not None:
            environment["GIT_OBJECT_DIRECTORY"] = str(self.shared)
        if self.quarantine is not None:
            environment["GIT_OBJECT_DIRECTORY"] = str(self.quarantine)
            environment["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(self.repository / "objects")
        return environment


def is_readable(descriptor: int, *, seconds: float) -> bool:
    """Wait until there is something to read, or the end; False when nothing came in time.

    By poll(2): select(2) takes no descriptor above 1023, and a receiver has many connections.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


_DEEP_STACK = 120 << 20  # bytes; the kernel leaves room for 128 MiB, however a process began


def confine(
    child: subprocess.Popen[bytes], *, cpu_seconds: int, address_space: int, walks: bool = False
) -> None:
    """Limit what a child may use: seconds of CPU, bytes of memory (prlimit(2)). No core files.

    It has run for a moment by then, but read nothing yet that a pusher chose. One that ``walks``
    trees, and has no threads, gets a large stack: git walks folders in folders by recursion.
    """
    resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
    if walks:
        resource.prlimit(child.pid, resource.RLIMIT_STACK, (_DEEP_STACK, _DEEP_STACK))
    resource.prlimit(child.pid, resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.prlimit(child.pid, resource.RLIMIT_AS, (address_space, address_space))
