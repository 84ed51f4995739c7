"""Requests without pause from clients of several kinds, each answer checked to its last byte.

Nothing is tried twice: what a browser would quietly repeat counts as failed here.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_ANSWER_SECONDS = 60.0
_STOP_SECONDS = 90.0
_KEPT_FAILURES = 20

IsWhole = Callable[[str, bytes], bool]


@dataclass(frozen=True, slots=True)
class Clients:
    """``count`` clients that ask for ``path`` again and again, ``pause`` seconds between.

    ``fresh``: with a new connection each time; else with one that is kept for as long as the server
    keeps it.
    """

    count: int
    path: str = "/"
    fresh: bool = False
    pause: float = 0.002


@dataclass(slots=True)
class Tally:
    """What came of it: answers that were whole, by path, and what failed, in words."""

    whole: Counter[str] = field(default_factory=Counter)
    bodies: Counter[bytes] = field(default_factory=Counter)
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.whole.total() + self.failed

    def fail(self, words: str) -> None:
        """Count a failure, and keep the first few in words."""
        self.failed += 1
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(words)


class Load:
    """``with Load(port, host, [Clients(8)], is_whole) as load: …``: ``load.tally`` grows meanwhile.

    ``is_whole(path, body)`` judges each body. Leaving waits for the answers under way.
    """

    def __init__(self, port: int, host: str, clients: list[Clients], is_whole: IsWhole) -> None:
        self.tally = Tally()
        self._port, self._host, self._clients, self._is_whole = port, host, clients, is_whole
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(_STOP_SECONDS)

    async def _run(self) -> None:
        await asyncio.gather(
            *(
                self._client(clients, number)
                for clients in self._clients
                for number in range(clients.count)
            )
        )

    async def _client(self, clients: Clients, number: int) -> None:
        connection: _Connection | None = None
        sent = 0
        while not self._stopped.is_set():
            sent += 1
            separator = "&" if "?" in clients.path else "?"
            path = f"{clients.path}{separator}request={number}-{sent}"
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    if connection is None:
                        connection = await _Connection.open(self._port)
                    body = await connection.get(self._host, path, keep=not clients.fresh)
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                kind = "fresh" if clients.fresh else "kept"
                age = connection.answers if connection else 0
                self.tally.fail(f"{kind} {path}, after {age} answers: {error!r}")
                if connection:
                    connection.close()
                connection = None
                continue
            if self._is_whole(path, body):
                self.tally.whole[clients.path] += 1
                self.tally.bodies[body.split(b" ", 1)[0]] += 1
            else:
                self.tally.fail(f"{path}: another body: {body[:80]!r}")
            if clients.fresh or connection.ends:
                connection.close()
                connection = None
            await asyncio.sleep(clients.pause)
        if connection:
            connection.close()


class _Connection:
    """One HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.answers = 0
        self.ends = False

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, host: str, path: str, *, keep: bool) -> bytes:
        """Return the body of a 200. Raises ``OSError``, ``EOFError`` or ``ValueError``."""
        end = "" if keep else "Connection: close\r\n"
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{end}\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        if "content-length" not in headers:
            raise ValueError("an answer without a length")
        body = await self._reader.readexactly(int(headers["content-length"]))
        self.answers += 1
        self.ends = headers.get("connection") == "close"
        if status.split()[1] != "200":
            raise ValueError(f"{status}: {body[:80]!r}")
        return body

    def close(self) -> None:
        with suppress(OSError):
            self._writer.close()
