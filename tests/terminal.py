"""Someone's shell: the ``aptible`` command as people run it, a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.processes import wait_until

SECONDS = 30
START = "import sys; from toolbelt.command import main; sys.argv[0] = 'aptible'; main()"


class Screen:
    """A command on a terminal. ``written`` is all that it wrote there, as it came."""

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], columns: int
    ) -> None:
        self._descriptor, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=far,
            stderr=far,
        )
        os.close(far)
        self._bytes = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def written(self) -> str:
        return self._bytes.decode(errors="replace").replace("\r\n", "\n")

    def shows(self, words: str) -> None:
        """Return when ``words`` have been written."""
        wait_until(lambda: words in self.written, seconds=SECONDS, what=f"no {words!r}")

    def ends(self) -> int:
        """Wait for the command's end; return its exit status."""
        status = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return status

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, 4096)
            except OSError:  # EIO: nobody has the other end open any more
                break
            if not data:
                break
            self._bytes += data
        os.close(self._descriptor)


class Terminal:
    """Someone's shell: a home, a working directory, and ``aptible``."""

    def __init__(self, home: Path, api_root: str) -> None:
        self.directory = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "APTIBLE_API_ROOT_URL": api_root,
        }

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", START, *shlex.split(command)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_on_a_screen(self, command: str, *, columns: int = 80) -> Screen:
        """Start a command whose standard output is a terminal."""
        return Screen(
            [sys.executable, "-c", START, *shlex.split(command)],
            cwd=self.directory,
            environment=self.environment,
            columns=columns,
        )

    def run(self, command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", START, *shlex.split(command)],
            cwd=self.directory,
            env=self.environment,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def says(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) <= 2
        return done.stderr.strip()
