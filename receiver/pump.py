"""Moves bytes between a client and a wire, both ways at once, with backpressure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from receiver.wire import Wire

CHUNK = 1 << 16

Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]
Gone = Callable[[], Awaitable[object]]


async def _never() -> None:
    await asyncio.Event().wait()


async def pump(wire: Wire, read: Read, write: Write, *, idle: float, gone: Gone = _never) -> None:
    """Pump until the handler has said its last word; then the transport's end is closed too.

    ``read`` returns ``b""`` at the end of the client's input; ``write`` returns when the client
    can take more; ``gone`` returns when the client has vanished. ``idle`` is for how many seconds
    a client may be silent that the handler waits for, or take nothing; ``wire.deadline`` is the end
    of all waiting.
    The last word does not wait for the client's input to end. A client that vanishes closes the
    wire, which the handler notices at its next write. Raises ``ConnectionError`` for a client that
    is gone.
    """
    incoming = asyncio.ensure_future(_incoming(wire, read, idle))
    outgoing = asyncio.ensure_future(_outgoing(wire, write, idle))
    watching = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({outgoing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not outgoing.done():
            raise ConnectionResetError("the client vanished")
        outgoing.result()
    finally:
        tasks = (incoming, outgoing, watching)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            wire.transport_end.close()


async def _incoming(wire: Wire, read: Read, idle: float) -> None:
    loop = asyncio.get_running_loop()
    reading: asyncio.Future[bytes] | None = None
    heard = time.monotonic()
    try:
        while True:
            reading = reading or asyncio.ensure_future(read())
            until = min(heard + idle, wire.deadline)
            done, _ = await asyncio.wait({reading}, timeout=max(0.0, until - time.monotonic()))
            late = time.monotonic() > wire.deadline
            if late or (not done and wire.expecting):
                wire.timed_out = True
                return
            heard = time.monotonic()
            if not done:
                continue
            data, reading = reading.result(), None
            if not data:
                return
            await loop.sock_sendall(wire.transport_end, data)
            wire.moved(len(data))
    finally:
        wire.end_input()
        if reading is not None:
            reading.cancel()


async def _outgoing(wire: Wire, write: Write, idle: float) -> None:
    while data := await _spoken(wire):
        wire.sending = True
        try:
            await asyncio.wait_for(write(data), idle)
        except TimeoutError as error:
            raise ConnectionAbortedError("the client takes nothing") from error
        wire.sending = False
        wire.moved(len(data))


async def _spoken(wire: Wire) -> bytes:
    """Return what the handler says next, ``b""`` at its end, however it came to it."""
    try:
        return await asyncio.get_running_loop().sock_recv(wire.transport_end, CHUNK)
    except ConnectionResetError:  # its end was closed with input unread
        return b""
