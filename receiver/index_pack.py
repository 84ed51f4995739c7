"""``git index-pack`` as a child: C git's own reading of a pack, under limits (DESIGN 3.2).

``--strict`` is fsck and link check in one pass. The child reads the wire itself. What it prints is
progress, a NUL byte once the pack is read to its end (``--report-end-of-input``), and its verdict.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from enclave.errors import PushRefused
from enclave.settings import Settings
from hooks.git import Objects, confine, is_readable
from receiver.wire import Wire

HEADER_BYTES = 12
_BIG_FILE = 8 << 20  # whole blobs above it are streamed, whatever their size (git-config(1))
_THREADS = 4  # at most: each takes 72 MiB of address space for its stack and its arena
_LOOK_SECONDS = 1.0
_FEW_OBJECTS = 1000
_ENTRY_BYTES = 128  # and less, for one object in git's table
_CHUNK = 1 << 16
_KEPT_ERRORS = 1 << 16  # bytes of complaints; the verdict is the last
_PROGRESS = (b"Resolving deltas:",)
_OVER_LIMIT = re.compile(r"attempting to allocate (\d+) over limit")


@dataclass(frozen=True, slots=True)
class Talk:
    """How the pusher hears of a pack that takes long.

    ``silence`` is called when nothing could be said for ``keepalive_seconds``, ``progress`` with
    git's own progress lines. ``early``: also while the pack is still coming. Over HTTP a client
    does not listen before its request has been read to the end.
    """

    silence: Callable[[], None]
    progress: Callable[[bytes], None]
    early: bool


class IndexPack:
    """One pack from the wire into a quarantine."""

    def __init__(
        self,
        objects: Objects,
        wire: Wire,
        settings: Settings,
        talk: Talk,
        look: Callable[[], None],
    ) -> None:
        """``look`` is called about once a second, and may raise."""
        self._objects, self._wire, self._settings, self._talk = objects, wire, settings, talk
        self._look = look
        self._errors = b""
        self._line = b""
        self._at_end = False

    def run(self, header: bytes, *, most_bytes: int, strict: bool) -> None:
        """Index what follows ``header``. Raises ``PushRefused`` with git's verdict.

        ``strict`` False only reads the pack of a push that is refused already.
        """
        version, count = int.from_bytes(header[4:8]), int.from_bytes(header[8:])
        self._wire.expecting = True
        child = subprocess.Popen(
            [
                *("git", "-c", f"core.bigFileThreshold={_BIG_FILE}", "index-pack"),
                *("--stdin", "--fix-thin", f"--pack_header={version},{count}"),
                f"--threads={_threads(count)}",
                *("--report-end-of-input", "--show-resolving-progress"),
                f"--max-input-size={most_bytes}",
                *(["--strict"] if strict else []),
            ],
            env={
                **self._objects.environment(),
                # The most that git allocates at once. What it does not stream, it has in one piece,
                # with a NUL byte behind it; besides, a table of all objects.
                "GIT_ALLOC_LIMIT": str(max(_in_memory(self._settings) + 1, count * _ENTRY_BYTES)),
            },
            stdin=self._wire.handler_end.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            confine(
                child,
                cpu_seconds=self._settings.push_cpu_seconds,
                address_space=self._settings.push_memory_bytes,
            )
            self._listen(child)
        finally:
            self._wire.expecting = False
            child.kill()
            child.communicate()
        if child.returncode != 0:
            raise PushRefused(self._verdict(child.returncode))

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        """Read what the child says until it ends, within ``push_seconds``."""
        descriptor = child.stderr.fileno() if child.stderr is not None else -1
        began = spoke = time.monotonic()
        while True:
            now = time.monotonic()
            left = began + self._settings.push_seconds - now
            silent = spoke + self._settings.keepalive_seconds - now
            if left <= 0:
                raise PushRefused(f"the pack took longer than {self._settings.push_seconds:.0f}s")
            if silent <= 0:
                if self._talk.early or self._at_end:
                    self._talk.silence()
                spoke = now
                continue
            if not is_readable(descriptor, seconds=min(left, silent, _LOOK_SECONDS)):
                self._look()
                continue
            said = os.read(descriptor, _CHUNK)
            if not said:
                child.wait(max(0.1, left))
                return
            self._hear(said)

    def _hear(self, said: bytes) -> None:
        if b"\0" in said and not self._at_end:
            self._at_end = True
            self._wire.expecting = False
            said = said.replace(b"\0", b"")
        *lines, rest = re.split(rb"(?<=[\r\n])", self._line + said)
        self._line = rest[-_KEPT_ERRORS:]
        for line in lines:
            if line.startswith(_PROGRESS):
                self._talk.progress(line)
            else:
                self._errors = (self._errors + line)[-_KEPT_ERRORS:]

    def _verdict(self, status: int) -> str:
        """Return why the child failed: our limits in our words, else git's last complaint."""
        settings = self._settings
        if self._wire.broken_off:
            return self._wire.broken_off
        if self._wire.timed_out:
            return f"nothing came for {settings.push_idle_seconds:.0f}s"
        if status == -signal.SIGXCPU:
            return f"indexing the pack took more than {settings.push_cpu_seconds}s of CPU"
        said = (self._errors + self._line).decode("utf-8", "replace").replace("\r", "\n")
        over = _OVER_LIMIT.search(said)
        if over:
            return _too_large_in_memory(int(over[1]) - 1, settings)
        if "out of memory" in said.lower() or "mmap failed" in said:
            most = settings.push_memory_bytes >> 20
            return f"indexing the pack would take more than {most} MiB of memory"
        return _complaint(said)


def _threads(count: int) -> int:
    """Return how many threads a pack of ``count`` objects is worth."""
    return 1 if count < _FEW_OBJECTS else min(_THREADS, os.cpu_count() or 1)


def _complaint(said: str) -> str:
    """Return git's last complaint, which is its verdict; of fsck's, the one that says why."""
    lines = [line.strip() for line in said.splitlines()]
    complaints = [line for line in lines if line.startswith(("fatal:", "error:"))]
    last = complaints[-1].partition(":")[2].strip() if complaints else ""
    if "fsck error" in last:
        faults = [line for line in complaints if line.startswith("error: object ")]
        why = [line.removeprefix("error: ") for line in faults[-1:]]
        return " in ".join(["fsck error", *why])
    return last or "git could not index the pack"


def _in_memory(settings: Settings) -> int:
    return min(settings.push_object_bytes, settings.push_delta_bytes)


def _too_large_in_memory(size: int, settings: Settings) -> str:
    if size > settings.push_object_bytes:
        return too_large(size, settings)
    return (
        f"an object of {size} bytes comes as a delta: at most {settings.push_delta_bytes} are "
        "taken. Try git -c core.bigFileThreshold=64m push"
    )


def too_large(size: int, settings: Settings) -> str:
    """Say that an object is larger than is taken."""
    return f"an object of {size} bytes: at most {settings.push_object_bytes} are taken"
