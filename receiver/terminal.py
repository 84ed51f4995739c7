"""A visitor's terminal: their session at the portal and one at an attendant, as one.

Bytes go both ways as slowly as they are taken; the window's size and signals go one way, the exit
status the other.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncssh

from enclave.attending import Execute
from enclave.errors import AttendantsAway
from enclave.operation import Operation
from receiver.attendants import Attendants

_CHUNK = 32 << 10
_VANISHED = (
    "The attendant that served this terminal was stopped or lost, and its container is removed. "
    "Connect again for another one."
)

Visitor = asyncssh.SSHServerProcess[bytes]
Attendant = asyncssh.SSHClientProcess[bytes]


async def connect_terminal(attendants: Attendants, operation: Operation, visitor: Visitor) -> int:
    """Run the operation's command in a container of its own; return its exit status.

    Who leaves ends it, with a ``ConnectionError``. Raises ``AttendantsAway``, also when the one
    that was there vanishes, and ``StoreUnavailable``.
    """
    async with attendants.session(
        Execute(operation.id), terminal=visitor.term_type, size=visitor.term_size
    ) as attendant:
        typing = asyncio.create_task(_type(visitor, attendant))
        showing = [
            asyncio.create_task(_copy(attendant.stdout, visitor.stdout)),
            asyncio.create_task(_copy(attendant.stderr, visitor.stderr)),
        ]
        leaving = asyncio.create_task(visitor.wait_closed())
        try:
            shown = asyncio.ensure_future(asyncio.gather(*showing))
            await _first(shown, leaving)
            if not shown.done():
                raise ConnectionResetError("the visitor left")
            await shown
            await attendant.wait_closed()
        finally:
            for task in (typing, leaving, *showing):
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionError, asyncssh.Error):
                    await task
        return _status(attendant)


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _status(attendant: Attendant) -> int:
    """Return the exit status; raises ``AttendantsAway`` when the attendant vanished without one."""
    status = attendant.exit_status
    if status is None or status < 0:
        raise AttendantsAway(_VANISHED)
    return status


async def _copy(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
    while data := await _read(reader):
        writer.write(data)
        await writer.drain()


async def _read(reader: asyncssh.SSHReader[bytes]) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except (asyncssh.Error, ConnectionError) as error:
        raise AttendantsAway(_VANISHED) from error


async def _type(visitor: Visitor, attendant: Attendant) -> None:
    """Pass on what is typed, and what else a terminal says, to the end of the input."""
    while True:
        try:
            data = await visitor.stdin.read(_CHUNK)
        except asyncssh.TerminalSizeChanged as change:
            attendant.change_terminal_size(*change.term_size)
            continue
        except asyncssh.SignalReceived as signal:
            attendant.send_signal(signal.signal)
            continue
        except asyncssh.BreakReceived as interruption:
            attendant.send_break(interruption.msec)
            continue
        if not data:
            attendant.stdin.write_eof()
            return
        attendant.stdin.write(data)
        await attendant.stdin.drain()
