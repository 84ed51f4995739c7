"""Reads git objects that nobody vouches for: the size is known before a byte is inflated.

One ``git cat-file --batch-command`` child answers all questions of a push. It runs under limits of
its own, so an object that is small in the pack and huge outside it (or whose delta base is) ends
the child, not the receiver.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from enclave.errors import AmbiguousCommitish, PushRefused
from hooks.git import Objects, confine, is_readable

_SECONDS = 30.0  # for one answer
_CPU_SECONDS = 60
_ADDRESS_SPACE = 512 << 20
_LARGEST = 64 << 20  # bytes of an object, or of its delta's base: none that counts is larger
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object's 40-digit id, type (``commit``, ``tree``, ``blob``, ``tag``) and size in bytes."""

    id: str
    type: str
    size: int


class ObjectReader:
    """Answers for one app's objects; a context manager that ends the child."""

    def __init__(self, objects: Objects) -> None:
        self._child = subprocess.Popen(
            ["git", "cat-file", "--batch-command"],
            env={**objects.environment(), "GIT_ALLOC_LIMIT": str(_LARGEST)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        confine(self._child, cpu_seconds=_CPU_SECONDS, address_space=_ADDRESS_SPACE)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.communicate()

    def info(self, name: str) -> ObjectInfo | None:
        """Return what ``name`` (an id, ``ID^{commit}``, …) is, None when there is no such object.

        Raises ``AmbiguousCommitish`` for an abbreviation of several, ``PushRefused`` when git does
        not answer.
        """
        return self._header(f"info {name}")

    def contents(self, name: str, *, limit: int) -> bytes:
        """Return an object's content. Raises ``PushRefused`` if it is over ``limit`` bytes."""
        info = self.info(name)
        if info is None:
            raise PushRefused(f"object {name} is missing")
        if info.size > limit:
            raise PushRefused(f"object {name} has {info.size} bytes; the limit is {limit}")
        if self._header(f"contents {info.id}") is None:
            raise PushRefused(f"object {name} is missing")
        return self._read(info.size + 1)[:-1]

    def _header(self, command: str) -> ObjectInfo | None:
        """Send a command and read its answer's first line (git-cat-file(1), BATCH OUTPUT)."""
        if "\n" in command:
            raise PushRefused("an object's name holds a line break")
        stdin = self._child.stdin
        try:
            if stdin is not None:
                stdin.write(command.encode() + b"\n")
        except BrokenPipeError as error:
            raise PushRefused("git could not read the pushed objects") from error
        line = self._read_line().decode("utf-8", "replace")
        if line.endswith(" ambiguous"):
            raise AmbiguousCommitish(f"more than one object begins with {command.split(' ')[1]}")
        words = line.rsplit(" ", 2)
        if len(words) != 3 or not words[2].isdigit():
            return None
        return ObjectInfo(words[0], words[1], int(words[2]))

    def _read_line(self) -> bytes:
        while b"\n" not in self._unread:
            self._unread += self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _read(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._unread += self._receive()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _receive(self) -> bytes:
        stdout = self._child.stdout
        descriptor = stdout.fileno() if stdout is not None else -1
        ready = is_readable(descriptor, seconds=_SECONDS)
        data = os.read(descriptor, _CHUNK) if ready else b""
        if not data:
            raise PushRefused("git could not read the pushed objects")
        return data
