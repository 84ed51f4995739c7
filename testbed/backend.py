"""A small HTTP server that says its name: what stands for a container where none is needed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from enclave.route import Target
from testbed.processes import wait_until

_FILLER = 2048


def body_of(name: str, path: str) -> bytes:
    """Return what the backend of that name answers to a path: other bytes for every other path."""
    digest = hashlib.sha256(f"{name}{path}".encode()).hexdigest().encode()
    return name.encode() + b" " + path.encode() + b"\n" + digest * (_FILLER // len(digest))


def is_whole(path: str, body: bytes) -> bool:
    """Whether a body is what some backend answers to the path."""
    return body == body_of(body.split(b" ", 1)[0].decode("latin-1"), path)


class Backend:
    """``with Backend("a") as backend:`` listens on a port of 127.0.0.1 of its own.

    ``/?wait=SECONDS`` answers its head at once and its body so much later. ``/headers`` answers
    what it was sent. Leaving it is a kill: connections are cut. It may be left
    twice.
    """

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name = name
        self.requests = 0
        self._address = address
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def target(self) -> Target:
        """Where it listens."""
        return Target(self._address, self._port)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._port > 0, seconds=10, what="a backend did not listen")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, self._address, 0, backlog=1024)
        )
        self._port = server.sockets[0].getsockname()[1]
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.requests += 1
                path = head.split()[1]
                body = head.encode("latin-1") if path == "/headers" else body_of(self.name, path)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                wait = parse_qs(urlsplit(path).query).get("wait")
                if wait:
                    writer.write(body[:10])
                    await asyncio.sleep(float(wait[0]))
                    body = body[10:]
                writer.write(body)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()
