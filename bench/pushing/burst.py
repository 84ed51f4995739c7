"""Many clients at once: all of them wait at one gate, and the gate opens for all in one moment."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The shells hold the reading end of one pipe. Nobody ever writes to it: closing it opens the gate.
_WAIT_AT_GATE = 'echo ready; read -r go; exec "$@"'
_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Burst:
    """How long it took until the last one was done, and how much processor all of them used."""

    clients: int
    seconds: float
    client_cpu_seconds: float

    @property
    def rate(self) -> float:
        """Clients a second."""
        return self.clients / self.seconds


def run_at_once(
    commands: Sequence[Sequence[str]], *, environment: Mapping[str, str], directory: Path
) -> Burst:
    """Run all commands from one moment on. Raises ``RuntimeError`` when one of them fails.

    Each is a shell, started before the clock, that becomes the command when the gate opens: Python
    takes a millisecond to start a process, and the last would begin after the first has ended.
    """
    gate, opener = os.pipe()
    children: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile(dir=directory) as errors:
        try:
            for command in commands:
                child = subprocess.Popen(
                    ["sh", "-c", _WAIT_AT_GATE, "sh", *command],
                    stdin=gate,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    cwd=directory,
                )
                children.append(child)
            for child in children:
                assert child.stdout is not None
                child.stdout.readline()
            os.sync()  # what earlier pushes left to write is not this burst's to wait for
            before, begin = _cpu_of_children(), time.perf_counter()
            os.close(opener)
            opener = -1
            statuses = [child.wait(begin + _SECONDS - time.perf_counter()) for child in children]
            seconds = time.perf_counter() - begin
        finally:
            os.close(gate)
            if opener >= 0:
                os.close(opener)
            for child in children:
                child.kill()
                child.communicate()
        if any(statuses):
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")
            failed = sum(1 for status in statuses if status)
            raise RuntimeError(f"{failed} of {len(commands)} clients failed:\n{said}")
    return Burst(len(commands), seconds, _cpu_of_children() - before)


def _cpu_of_children() -> float:
    """Return the seconds of processor that children used which have ended and been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
