"""How much room the Engine's disk has, looked at before and while an image is pulled."""

from __future__ import annotations

import os
from pathlib import Path

from enclave.errors import ImageUnavailable
from enclave.image import ImageReference
from worker.runtime.engine_connection import EngineConnection

_LOCAL = ("unix://", "http+unix://")


class EngineDisk:
    """The file system under the Engine's data directory, if the Engine is of this machine.

    ``least`` is how many bytes are to stay free. An Engine that is reached over TCP may have its
    data on another machine: nothing is known of its disk, and nothing is refused.
    """

    def __init__(self, engine: EngineConnection, *, least: int) -> None:
        self._engine, self._least = engine, least
        self._root: Path | None = None

    def free(self) -> int | None:
        """Return the bytes that the Engine may still write, None when that cannot be known."""
        if not self._engine.url.startswith(_LOCAL):
            return None
        try:
            if self._root is None:
                self._root = self._data_root()
            room = os.statvfs(self._root)
        except OSError:  # the Engine sees other files than this process does
            return None
        return room.f_bavail * room.f_frsize

    def check(self, reference: ImageReference, coming: int = 0) -> None:
        """Raise ``ImageUnavailable`` when ``coming`` bytes more would not leave enough free."""
        free, needed = self.free(), self._least + coming
        if free is None or free >= needed:
            return
        raise ImageUnavailable(
            f"There is not enough disk space on the Docker Engine's machine to pull {reference}: "
            f"{_mb(free)} free, {_mb(needed)} needed. Remove what is not needed there, or tell the "
            "server's operator."
        )

    def _data_root(self) -> Path:
        with self._engine.asked_to("tell where its data is") as api:
            return Path(str(api.info()["DockerRootDir"]))


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
