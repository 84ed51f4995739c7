"""Files that must be whole and private, or not be."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def create_private(path: Path, content: bytes) -> bool:
    """Write ``content`` to ``path`` (mode 600) unless it exists; return whether it was written.

    Whole or not at all, also when two processes try at once or the power goes: the content is
    written and fsynced aside, then linked into place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return False
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
    finally:
        Path(aside).unlink()
    sync(path.parent)
    return True


def sync(path: Path) -> None:
    """Make a file's content, or a directory's own entries, durable (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
