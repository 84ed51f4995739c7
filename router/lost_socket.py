"""HAProxy whose command socket is gone: it serves on, and nobody can tell it anything again.

A reload does not bring the socket back, so HAProxy is ended; its supervisor starts it anew. That
costs what is under way, once, and only after somebody removed a file of ours.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

PID_FILE = "haproxy.pid"
_PATIENCE_SECONDS = 2.0  # one that just starts has no socket yet


class LostSocket:
    """Watches whether a HAProxy that runs still has its socket."""

    def __init__(self, socket: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._socket, self._clock = socket, clock
        self._missing_since: float | None = None

    def look(self) -> None:
        """End HAProxy when its socket has been missing for two seconds."""
        if self._socket.exists():
            self._missing_since = None
            return
        if self._missing_since is None:
            self._missing_since = self._clock()
        if self._clock() - self._missing_since < _PATIENCE_SECONDS:
            return
        self._missing_since = None
        if pid := self._master():
            logger.warning("HAProxy has lost %s: ending it", self._socket)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _master(self) -> int | None:
        """Return the process id of the HAProxy that has this socket, None when there is none."""
        try:
            pid = int((self._socket.parent / PID_FILE).read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self._socket) in command else None
