"""One session of an SSH connection: a command's bytes in and out, and nothing else.

No terminal, no subsystem, no environment; a session without a command is greeted. What the client
sends is handed over in as large pieces as have come, and no more is taken from it meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh


class GitSession(asyncssh.SSHServerSession[bytes]):
    """The bytes of one session, as ``pump`` wants them. ``serve`` is started with it."""

    def __init__(
        self, serve: Callable[[GitSession], Awaitable[None]], ended: Callable[[], None]
    ) -> None:
        self._serve, self._ended_here = serve, ended
        self._pieces: list[bytes] = []
        self._taking = False
        self._at_end = False
        self._readable, self._writable = asyncio.Event(), asyncio.Event()
        self._gone = asyncio.Event()
        self._task: asyncio.Future[None] | None = None
        self._writable.set()
        self.command: str | None = None
        self.channel: asyncssh.SSHServerChannel[bytes]

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel, to answer on it."""
        self.channel = chan

    def shell_requested(self) -> bool:
        """A client that names no command is greeted."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Keep the command; it is parsed, and never run."""
        self.command = command
        return True

    def session_started(self) -> None:
        """Begin to answer."""
        self._task = asyncio.ensure_future(self._serve(self))

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002
        """Keep what came until it is asked for; what comes next stays in the channel."""
        self._pieces.append(data)
        if not self._taking:
            self.channel.pause_reading()
        self._readable.set()

    def eof_received(self) -> bool:
        """The client sends no more, and still listens."""
        self._at_end = True
        self._readable.set()
        return True

    def pause_writing(self) -> None:
        """The client takes less than we have for it."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client can take more."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- for the log of others
        """The channel is closed, by either side."""
        self._at_end = True
        for event in (self._gone, self._readable, self._writable):
            event.set()
        self._ended_here()

    async def read(self) -> bytes:
        """Return all that has come, ``b""`` at the end."""
        self._take()
        while not self._pieces and not self._at_end:
            self._readable.clear()
            await self._readable.wait()
            self._take()
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def _take(self) -> None:
        """Take over what the channel holds, down to the last piece, and stop it again.

        asyncssh reopens the whole window with each piece it delivers, whatever lies undelivered
        behind it. Taking a part at a time would let a fast client fill memory with its pack.
        """
        if self._gone.is_set():
            return
        self._taking = True
        self.channel.resume_reading()
        self._taking = False
        if self._pieces:
            self.channel.pause_reading()

    async def write(self, data: bytes) -> None:
        """Send data; return when more can be sent. Raises ``ConnectionResetError``."""
        if self._gone.is_set():
            raise ConnectionResetError("the client closed the session")
        self.channel.write(data)
        await self._writable.wait()

    async def gone(self) -> None:
        """Return when the session is closed."""
        await self._gone.wait()

    def end(self, status: int, words: str = "") -> None:
        """Say ``words`` on standard error and end with an exit status."""
        if not self._gone.is_set():
            if words:
                self.channel.write_stderr(words.encode())
            self.channel.exit(status)
