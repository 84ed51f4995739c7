"""Named places between two steps, where a test may stop this process in order to kill something.

Nothing happens there unless ENCLAVE_CHECKPOINTS names a directory: then a process that reaches a
place which somebody has armed there waits until it is let go. ``tests/faults`` is who arms them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_VARIABLE = "ENCLAVE_CHECKPOINTS"
_LONGEST_SECONDS = 60.0
_POLL_SECONDS = 0.005


def reached(place: str) -> None:
    """Wait here if ``place`` is armed; a minute at most."""
    directory = os.environ.get(_VARIABLE)
    if directory is not None:
        _wait(Path(directory), place)


def _wait(directory: Path, place: str) -> None:
    armed, held = directory / f"{place}.armed", directory / f"{place}.held"
    try:
        armed.rename(held)  # the first who comes takes it
    except FileNotFoundError:
        return
    deadline = time.monotonic() + _LONGEST_SECONDS
    while held.exists() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
