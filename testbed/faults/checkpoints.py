"""Stops a process of the platform at a named place (``enclave/checkpoints.py``)."""

from __future__ import annotations

from pathlib import Path

from testbed.processes import wait_until

_SECONDS = 60


class Checkpoints:
    """The directory that ENCLAVE_CHECKPOINTS names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def arm(self, place: str) -> None:
        """Have the next process that comes to ``place`` wait there."""
        (self.directory / f"{place}.armed").touch()

    def wait_held(self, place: str) -> None:
        """Return when one waits there. Raises ``PartUnavailable``."""
        held = self.directory / f"{place}.held"
        wait_until(held.exists, seconds=_SECONDS, what=f"nobody came to {place!r}")

    def let_go(self) -> None:
        """Let everybody go on, and arm nothing."""
        for file in self.directory.iterdir():
            file.unlink(missing_ok=True)
