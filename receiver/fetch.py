"""Clone and fetch: git's own upload-pack over our refs (SPEC 2.12).

It streams the stored packs, where dulwich would unpack them into the receiver's memory. The refs
are in the store and not on disk; so each fetch has a *view*, a folder that git takes for the
repository: HEAD and the refs as they are at this moment, and the real objects.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from enclave.settings import Settings
from hooks.git import Objects
from receiver.report import Report
from receiver.repository import VIEW
from receiver.wire import Wire

logger = logging.getLogger(__name__)

_SLOT_SECONDS = 60
_SECONDS = 3600  # for one fetch, however slow its client is
_CPU_SECONDS = 600
_ADDRESS_SPACE = 1 << 30
# Packs are mapped in small windows, so that one larger than the address space can be sent; large
# blobs are copied and never compared (git-config(1)).
_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tbigFileThreshold = 8m
\tpackedGitWindowSize = 32m
\tpackedGitLimit = 256m
[pack]
\tthreads = 1
\twindowMemory = 64m
"""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One client's fetch. ``advertise`` only lists the refs; ``stateless`` is smart HTTP."""

    repository: Path
    refs: Mapping[str, str]
    head: str
    """The ref that a clone checks out, which need not exist yet."""

    stateless: bool
    advertise: bool

    def handle(
        self, wire: Wire, report: Report, settings: Settings, slots: threading.Semaphore
    ) -> None:
        """Let git speak on the wire to the end. Protocol version 0, whatever the client offers."""
        if not slots.acquire(timeout=_SLOT_SECONDS):
            report.end_without_verdict("too many fetches at a time: try again in a minute")
            return
        try:
            with self._view() as view:
                self._upload_pack(view, wire, idle=settings.push_idle_seconds)
        finally:
            slots.release()

    @contextmanager
    def _view(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix=VIEW, dir=self.repository) as folder:
            view = Path(folder)
            (view / "refs").mkdir()
            (view / "HEAD").write_text(f"ref: {self.head}\n", "utf-8")
            (view / "config").write_text(_CONFIG)
            lines = [f"{commit} {ref}\n" for ref, commit in sorted(self.refs.items())]
            (view / "packed-refs").write_text("".join(lines), "utf-8")
            yield view

    def _upload_pack(self, view: Path, wire: Wire, *, idle: float) -> None:
        child = subprocess.Popen(
            [
                *("git", "upload-pack", "--strict", f"--timeout={max(1, int(idle))}"),
                *(["--stateless-rpc"] if self.stateless else []),
                *(["--advertise-refs"] if self.advertise else []),
                str(view),
            ],
            env=Objects(view, shared=self.repository / "objects").environment(),
            stdin=wire.handler_end.fileno(),
            stdout=wire.handler_end.fileno(),
            stderr=subprocess.PIPE,
            process_group=0,
        )
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        resource.prlimit(child.pid, resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        try:
            _, errors = child.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            logger.info("a fetch from %s took too long", self.repository.name)
        else:
            if child.returncode != 0:
                said = errors.decode("utf-8", "replace").strip()
                logger.info("a fetch from %s ended early: %s", self.repository.name, said)
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)  # git's own children, too
                child.communicate()
