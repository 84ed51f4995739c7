"""What is pushed: repositories made with ``git fast-import``, in one pack, as a clone's would be.

Blobs are random bytes, so that neither side wins by compressing well.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 120
_CHUNK = 1 << 20
_BLOB_BYTES = 200
_FILES_A_FOLDER = 25
_FOLDERS = 40
_PROCFILE = b"web: sleep infinity\n"
_OBJECTS_A_COMMIT = 4  # a blob, its folder's tree, the root's tree, the commit

Lines = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Load:
    """One repository: the commits to push, oldest first; ``objects`` that the last one brings."""

    path: Path
    commits: tuple[str, ...]
    objects: int


def two_files(path: Path, *, commits: int) -> Load:
    """A Procfile and a README; each further commit changes the README: three objects."""
    return _make(path, lambda: _history(commits, folders=0), keep=commits)


def history(path: Path, *, objects: int) -> Load:
    """About ``objects`` objects: small commits, each changing one file in one of 40 folders."""
    commits = objects // _OBJECTS_A_COMMIT
    return _make(path, lambda: _history(commits, folders=_FOLDERS), keep=1)


def one_blob(path: Path, *, size: int) -> Load:
    """One commit with a Procfile and one blob of ``size`` random bytes."""
    return _make(path, lambda: _one_blob(size), keep=1)


def _make(path: Path, lines: Callable[[], Lines], *, keep: int) -> Load:
    _git("init", "-q", "--bare", str(path))
    importer = subprocess.Popen(
        ["git", f"--git-dir={path}", "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"],
        stdin=subprocess.PIPE,
    )
    try:
        assert importer.stdin is not None
        for line in lines():
            importer.stdin.write(line)
        importer.stdin.close()
        if importer.wait(_SECONDS) != 0:
            raise RuntimeError("git fast-import failed")
    finally:
        importer.kill()
        importer.wait(_SECONDS)
    here = f"--git-dir={path}"
    newest = _git(here, "rev-list", f"--max-count={keep}", "refs/heads/load").split()
    brings = ("rev-list", "--objects", "--count", newest[0], "--not", *newest[1:])
    return Load(path, tuple(reversed(newest)), int(_git(here, *brings)))


def _history(commits: int, *, folders: int) -> Lines:
    dice = random.Random(commits)
    for number in range(commits):
        yield from _commit(number)
        if number == 0:
            yield from _file("Procfile", _PROCFILE)
        name = "README"
        if folders:
            name = f"folder-{number % folders}/file-{number // folders % _FILES_A_FOLDER}"
        yield from _file(name, dice.randbytes(_BLOB_BYTES))


def _one_blob(size: int) -> Lines:
    yield from _commit(0)
    yield from _file("Procfile", _PROCFILE)
    yield b"M 100644 inline blob\ndata %d\n" % size
    for begin in range(0, size, _CHUNK):
        yield os.urandom(min(_CHUNK, size - begin))
    yield b"\n"


def _commit(number: int) -> Lines:
    message = b"commit %d" % number
    yield b"commit refs/heads/load\n"
    yield b"committer Bench <bench@example.com> %d +0000\n" % (1_700_000_000 + number)
    yield b"data %d\n%s\n" % (len(message), message)


def _file(name: str, content: bytes) -> Lines:
    yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, timeout=_SECONDS
    ).stdout
