"""Text for a visitor of the log portal: an operation's log, or what containers print."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import asyncssh

from enclave.attending import FollowContainers
from enclave.operation import Operation
from receiver.attendants import Attendants

_TAKING_SECONDS = 60.0  # a visitor who takes nothing for so long is gone

Process = asyncssh.SSHServerProcess[bytes]


class PortalWatcher:
    """Writes a log from the thread that follows it; waits while the visitor is slow."""

    def __init__(self, process: Process, loop: asyncio.AbstractEventLoop) -> None:
        self._process, self._loop = process, loop

    def say(self, lines: Sequence[str]) -> None:
        """See ``Watcher.say``."""
        text = "".join(f"{line}\n" for line in lines)
        asyncio.run_coroutine_threadsafe(write(self._process, text), self._loop).result()

    def replace(self, line: str) -> None:  # noqa: ARG002 -- nothing is drawn over
        """See ``Watcher.replace``: there is no terminal, so nothing is shown."""
        self.keep_alive()

    def keep_alive(self) -> None:
        """See ``Watcher.keep_alive``."""
        if self._process.is_closing():
            raise ConnectionResetError("the visitor left")


async def show_containers(attendants: Attendants, operation: Operation, process: Process) -> bool:
    """Show what the containers of the operation's app print, until the visitor leaves.

    Returns whether it ended because the app was deprovisioned; else it was cut off. Raises
    ``AttendantsAway`` and ``StoreUnavailable``.
    """
    request = FollowContainers(operation.request.app_id)
    async with attendants.followed(request) as lines:
        showing = asyncio.ensure_future(_show(lines, process))
        leaving = asyncio.ensure_future(process.wait_closed())
        try:
            await asyncio.wait({showing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return showing.done() and showing.result()
        finally:
            for task in (showing, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionError, asyncssh.Error):
                    await task


async def _show(lines: AsyncIterator[bytes], process: Process) -> bool:
    """Show lines; return whether the last word was that there is no more to follow."""
    event: dict[str, object] = {}
    async for line in lines:
        event = json.loads(line)
        if "line" in event:
            text = f"{event['service']}.{event['index']} | {event['line']}\n"
            await write(process, text)
        elif words := event.get("note") or event.get("end"):
            process.stderr.write(f"{words}\n".encode())
    return "end" in event


async def write(process: Process, text: str) -> None:
    """Write text, and wait until the visitor has taken most of it; raises ``ConnectionError``."""
    if process.is_closing():
        raise ConnectionResetError("the visitor left")
    process.stdout.write(text.replace("\n", "\r\n" if process.term_type else "\n").encode())
    try:
        async with asyncio.timeout(_TAKING_SECONDS):
            await process.stdout.drain()
    except TimeoutError as error:
        raise ConnectionResetError("the visitor takes nothing") from error
