"""Children of the test bed: found on PATH, started under a deadline, never outliving their parent.

A child's output goes to a log file; when it does not come up, the end of that file is in the error.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLL_SECONDS = 0.02
_TAIL_LINES = 15
_TAIL_BYTES = 16_384


class PartUnavailable(Exception):
    """A part of the test bed cannot be had; the message says why and what to do."""


def program(name: str, *, package: str) -> str:
    """Return the path of a program. Raises ``PartUnavailable`` naming the package that has it."""
    path = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise PartUnavailable(
            f"{name} is not installed: run scripts/setup test as root, "
            f"or apt-get install --no-install-recommends {package}"
        )
    return path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Poll until ``condition()`` is true. Raises ``PartUnavailable`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise PartUnavailable(f"waited {seconds:g} s in vain: {what}")
        time.sleep(_POLL_SECONDS)


class Child:
    """One running program, with its output appended to ``log``.

    It has a session of its own, so CTRL+C in the terminal leaves it to its owner. With
    ``dies_with_parent`` the kernel kills it when the *thread* that started it ends, whatever ended
    it: start such children from a thread that lasts.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        dies_with_parent: bool = True,
    ) -> None:
        self.name = Path(argv[0]).name
        self.log = log
        setpriv = program("setpriv", package="util-linux")
        wrapper = [setpriv, "--pdeathsig", "KILL", "--"] if dies_with_parent else []
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*wrapper, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the program itself (a wrapper has replaced itself by then)."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_ready(self, answers: Callable[[], bool], *, seconds: float) -> None:
        """Poll until ``answers()`` is true.

        Raises ``PartUnavailable`` with the end of its log when it died first or took longer; in the
        second case it is killed.
        """

        def ready_or_dead() -> bool:
            return not self.running or answers()

        try:
            wait_until(ready_or_dead, seconds=seconds, what=f"{self.name} did not answer")
        except PartUnavailable as late:
            self.kill()
            raise PartUnavailable(f"{late}\n{self.log_tail()}") from None
        if not self.running:
            status = self._process.returncode
            raise PartUnavailable(f"{self.name} ended with status {status}\n{self.log_tail()}")

    def stop(self, *, seconds: float = 10) -> None:
        """SIGTERM, and SIGKILL after ``seconds``. Ended already is fine."""
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait for the end. Ended already is fine."""
        self._process.kill()
        self._process.wait(10)

    def log_tail(self) -> str:
        """Return the last lines of its log, headed by the log's path."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"--- {self.log}", *lines])
