"""``python -m admin.room DIRECTORY COMMAND…``: become the command once the disk has room for it.

A Redis that cannot write its append-only file ends, as it must: with ``appendfsync always``, what
it would answer would not be true. Started again while the disk is still full, it would end again,
and supervisord waits a second longer each time: after an hour, for more than a minute once there is
room. So it is not started before.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

ROOM_BYTES = 1 << 20
_PAUSE = 0.5


def wait_for_room(directory: Path, *, pause: float = _PAUSE) -> None:
    """Return when the disk of ``directory`` has ``ROOM_BYTES`` free; say once that it has not."""
    told = False
    while shutil.disk_usage(directory).free < ROOM_BYTES:
        if not told:
            print(f"The disk of {directory} is full: make room. Waiting for it.", flush=True)
            told = True
        time.sleep(pause)


if __name__ == "__main__":
    wait_for_room(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
