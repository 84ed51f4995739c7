"""Takes a pack in beside the repository, where nothing refers to it until it has been judged.

``objects/incoming-ID/`` belongs to one push: it is written by ``git index-pack --strict`` (fsck and
link check in one pass), removed with the push, or moved into the store. What a killed receiver left
is removed by the sweep.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from enclave.errors import PushRefused
from enclave.files import sync_directory
from enclave.settings import Settings
from hooks.git import Objects
from receiver.repository import HALF_MADE, VIEW
from receiver.wire import Wire

_PREFIX = "incoming-"
_HEADER_BYTES = 12
_SLOT_SECONDS = 60
_SWEEP_SECONDS = 24 * 3600


class Quarantine:
    """One push's objects, until ``keep`` makes them the repository's. A context manager."""

    def __init__(self, repository: Path) -> None:
        self._store = repository / "objects"
        self.path = self._store / f"{_PREFIX}{uuid.uuid4().hex}"
        self.objects = Objects(repository, self.path)

    def __enter__(self) -> Self:
        (self.path / "pack").mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def take_in(
        self,
        wire: Wire,
        settings: Settings,
        slots: threading.Semaphore,
        *,
        strict: bool,
        silence: Callable[[], None],
    ) -> None:
        """Read one pack from the wire. Raises ``PushRefused`` with git's own verdict.

        ``silence`` is called whenever nothing could be said for ``keepalive_seconds``. ``strict``
        False only drains the pack of a push that is refused already.
        """
        if self._room(settings) <= 0:
            raise PushRefused("the server's disk is almost full: tell its operator")
        if not slots.acquire(timeout=_SLOT_SECONDS):
            raise PushRefused("too many pushes at a time: try again in a minute")
        try:
            self._index_pack(wire, settings, strict=strict, silence=silence)
        finally:
            slots.release()

    def _index_pack(
        self, wire: Wire, settings: Settings, *, strict: bool, silence: Callable[[], None]
    ) -> None:
        header = wire.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES or header[:4] != b"PACK":
            raise PushRefused("no pack came")
        version, count = int.from_bytes(header[4:8]), int.from_bytes(header[8:])
        arguments = [
            *("git", "-c", "core.bigFileThreshold=8m"),
            *("index-pack", "--stdin", "--fix-thin", f"--pack_header={version},{count}"),
            f"--max-input-size={min(settings.push_bytes, max(1, self._room(settings)))}",
            *(["--strict"] if strict else []),
        ]
        wire.expecting = True
        child = subprocess.Popen(
            arguments,
            env=self.objects.environment(),
            stdin=wire.handler_end.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        cpu, memory = settings.push_cpu_seconds, settings.push_memory_bytes
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (cpu, cpu))
        resource.prlimit(child.pid, resource.RLIMIT_AS, (memory, memory))
        errors = _wait(child, settings, silence)
        wire.expecting = False
        if child.returncode != 0 and wire.timed_out:
            raise PushRefused(f"nothing came for {settings.push_idle_seconds:.0f}s")
        if child.returncode != 0:
            raise PushRefused(_verdict(errors))

    def _room(self, settings: Settings) -> int:
        """Return how many bytes the disk takes before it counts as full."""
        return shutil.disk_usage(self._store).free - settings.free_disk_bytes

    def keep(self) -> None:
        """Make the objects the repository's, durably: git fsynced the files, we the folder.

        The ``.pack`` goes before its ``.idx``: without the index nobody looks for the pack.
        """
        packs = self._store / "pack"
        for suffix in (".pack", ".rev", ".idx"):
            for file in (self.path / "pack").glob(f"*{suffix}"):
                file.rename(packs / file.name)
        sync_directory(packs)


def sweep(repositories: Path) -> int:
    """Remove what killed receivers left (quarantines, views, half a repository); returns how many.

    One that is younger than a day may belong to a receiver beside this one, and stays.
    """
    patterns = (f"*.git/objects/{_PREFIX}*", f"*{HALF_MADE}*", f"*.git/{VIEW}*")
    found = [path for pattern in patterns for path in repositories.glob(pattern)]
    return sum(_remove_old(path) for path in found)


def _remove_old(path: Path) -> bool:
    """Remove a folder that nobody has touched for a day; False for one that is gone meanwhile."""
    try:
        old = time.time() - path.stat().st_mtime > _SWEEP_SECONDS
    except FileNotFoundError:
        return False
    if old:
        shutil.rmtree(path, ignore_errors=True)
    return old


def _wait(child: subprocess.Popen[bytes], settings: Settings, silence: Callable[[], None]) -> str:
    """Wait for the child within ``push_seconds``; return what it said on standard error."""
    deadline = time.monotonic() + settings.push_seconds
    try:
        while True:
            patience = min(settings.keepalive_seconds, deadline - time.monotonic())
            try:
                _, errors = child.communicate(timeout=max(0.0, patience))
                return errors.decode("utf-8", "replace")
            except subprocess.TimeoutExpired as error:
                if time.monotonic() >= deadline:
                    raise PushRefused(
                        f"the pack took longer than {settings.push_seconds:.0f}s"
                    ) from error
                silence()
    finally:
        if child.returncode is None:
            child.kill()
            child.communicate()


def _verdict(errors: str) -> str:
    """Return git's last complaint, which is the verdict, without the word before it."""
    lines = [line.strip() for line in errors.replace("\r", "\n").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith(("fatal:", "error:"))), "")
    return said.partition(":")[2].strip() or "git could not index the pack (out of its limits?)"
