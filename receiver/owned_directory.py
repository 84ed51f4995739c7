"""Temporary folders with an owner: whoever holds the lock on one lives, and the rest is swept.

The kernel drops a lock (flock(2)) with the process that holds it, however it ended. So a receiver
that starts can remove at once what dead ones left, and never what one beside it still uses.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def owned_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """Make ``PARENT/PREFIX…`` and own it; it is removed at the end, with all that is left in it."""
    while True:
        path = parent / f"{prefix}{uuid.uuid4().hex}"
        path.mkdir()
        lock = _take(path)
        if lock is not None:
            break  # otherwise a sweep was there between the two calls, and has removed it
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a folder's lock while the block runs; False, at once, when somebody else has it."""
    lock = _take(path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a folder's lock together with others like this; waits for whoever has it alone."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def sweep(folder: Path, pattern: str) -> int:
    """Remove the folders below ``folder`` that match and that nobody owns; return how many."""
    return sum(_remove_unowned(path) for path in folder.glob(pattern))


def _remove_unowned(path: Path) -> bool:
    lock = _take(path)
    if lock is None:
        return False
    try:
        shutil.rmtree(path, ignore_errors=True)
        return True
    finally:
        os.close(lock)


def _take(path: Path) -> int | None:
    """Return a descriptor that holds the folder's lock; None when it has an owner, or is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if not path.exists():  # swept between the two calls
        os.close(lock)
        return None
    return lock
