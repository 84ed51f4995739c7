"""One visit: a container, and who is attached to it."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import asyncssh

from enclave.errors import OperationFailed
from worker.runtime.visited_container import VisitedContainer

logger = logging.getLogger(__name__)

_CHUNK = 32 << 10
_HEADER = struct.Struct(">B3xI")  # stream number, three zero bytes, length: Engine API, "attach"
_STDERR = 2
_LOOK_SECONDS = 10.0

Process = asyncssh.SSHServerProcess[bytes]


class Visit:
    """Passes on what is typed and printed, the terminal's size and signals, and the exit status."""

    def __init__(self, container: VisitedContainer, process: Process, *, terminal: bool) -> None:
        self._container, self._process, self._terminal = container, process, terminal

    async def run(self) -> int:
        """Start the container; return its exit status at its end.

        Raises ``ConnectionError`` when nobody is there any more, and ``OperationFailed``.
        """
        output, typed = await asyncio.open_connection(sock=self._container.stream)
        try:
            if failure := await asyncio.to_thread(self._container.start):
                self._process.stderr.write(f"{failure.sentence}\n".encode())
                return failure.status
            await self._resize(self._process.term_size)
            typing = asyncio.create_task(self._type(typed))
            try:
                await (self._show if self._terminal else self._show_frames)(output)
            finally:
                typing.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await typing
            return await self._status()
        finally:
            typed.close()

    async def _show(self, output: asyncio.StreamReader) -> None:
        while data := await output.read(_CHUNK):
            self._process.stdout.write(data)
            await self._process.stdout.drain()

    async def _show_frames(self, output: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                stream, left = _HEADER.unpack(await output.readexactly(_HEADER.size))
                writer = self._process.stderr if stream == _STDERR else self._process.stdout
                while left:
                    data = await output.readexactly(min(left, _CHUNK))
                    left -= len(data)
                    writer.write(data)
                    await writer.drain()

    async def _type(self, typed: asyncio.StreamWriter) -> None:
        """Pass on input, sizes and signals; the end of the input is the container's, too."""
        while True:
            try:
                data = await self._process.stdin.read(_CHUNK)
            except asyncssh.TerminalSizeChanged as change:
                await self._resize(change.term_size)
                continue
            except asyncssh.SignalReceived as signal:
                await self._tell(partial(self._container.signal, signal.signal))
                continue
            except asyncssh.BreakReceived:
                continue
            if not data:
                if not self._terminal:
                    typed.write_eof()
                return
            typed.write(data)
            await typed.drain()

    async def _resize(self, size: tuple[int, int, int, int]) -> None:
        columns, rows = size[:2]
        if self._terminal and columns and rows:
            await self._tell(partial(self._container.resize, columns=columns, rows=rows))

    async def _tell(self, what: Callable[[], None]) -> None:
        """Have the Engine do what is no more than a wish: the visit goes on without."""
        try:
            await asyncio.to_thread(what)
        except OperationFailed as error:
            logger.info("not done to the container of a terminal: %s", error)

    async def _status(self) -> int:
        while True:
            status = await asyncio.to_thread(self._container.exited, seconds=_LOOK_SECONDS)
            if status is not None:
                return status
