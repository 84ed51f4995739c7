"""Clone and fetch: git's own upload-pack in a view of the repository (SPEC 2.12).

It streams the stored packs, where dulwich would unpack them into the receiver's memory.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hooks.git import Objects, confine
from receiver.view import view
from receiver.wire import Wire

logger = logging.getLogger(__name__)

_SECONDS = 3600  # for one fetch, however slow its client is
_CPU_SECONDS = 600
_ADDRESS_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Fetch:
    """One client's fetch. ``advertise`` only lists the refs; ``stateless`` is smart HTTP."""

    repository: Path
    refs: Mapping[str, str]
    head: str
    """The ref that a clone checks out, which need not exist yet."""

    stateless: bool
    advertise: bool

    def handle(self, wire: Wire, *, idle: float) -> None:
        """Let git speak on the wire to the end. Protocol version 0, whatever the client offers."""
        wire.has_last_word = False  # what git says in mid-pack, nobody may add to
        wire.expecting = True  # as far as anyone can tell from outside git
        with view(self.repository, self.refs, self.head) as objects:
            self._upload_pack(objects, wire, idle=idle)

    def _upload_pack(self, objects: Objects, wire: Wire, *, idle: float) -> None:
        child = subprocess.Popen(
            [
                *("git", "upload-pack", "--strict", f"--timeout={max(1, int(idle))}"),
                *(["--stateless-rpc"] if self.stateless else []),
                *(["--advertise-refs"] if self.advertise else []),
                str(objects.repository),
            ],
            env=objects.environment(),
            stdin=wire.handler_end.fileno(),
            stdout=wire.handler_end.fileno(),
            stderr=subprocess.PIPE,
            process_group=0,
        )
        try:
            confine(child, cpu_seconds=_CPU_SECONDS, address_space=_ADDRESS_SPACE, walks=True)
            _, errors = child.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            logger.info("a fetch from %s took too long", self.repository.name)
        else:
            if child.returncode != 0:
                said = wire.broken_off or errors.decode("utf-8", "replace").strip()
                logger.info("a fetch from %s ended early: %s", self.repository.name, said)
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)  # git's own children, too
                child.communicate()
