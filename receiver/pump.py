"""Moves bytes between a client and a wire, both ways at once, with backpressure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from receiver.wire import Wire

CHUNK = 1 << 16

Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]


async def pump(wire: Wire, read: Read, write: Write, *, idle: float) -> None:
    """Pump until the handler has closed its end; then the transport's end is closed too.

    ``read`` returns ``b""`` at the end of the client's input; ``write`` returns when the client
    can take more. ``idle`` is for how many seconds a client may be silent that the handler waits
    for. A client that vanishes closes the wire, which the handler notices at its next write.
    """
    incoming = asyncio.create_task(_incoming(wire, read, idle))
    try:
        await _outgoing(wire, write)
    finally:
        incoming.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await incoming
        wire.transport_end.close()


async def _incoming(wire: Wire, read: Read, idle: float) -> None:
    loop = asyncio.get_running_loop()
    reading: asyncio.Future[bytes] | None = None
    try:
        while True:
            reading = reading or asyncio.ensure_future(read())
            done, _ = await asyncio.wait({reading}, timeout=idle)
            if not done:
                if wire.expecting:
                    wire.timed_out = True
                    return
                continue
            data, reading = reading.result(), None
            if not data:
                return
            await loop.sock_sendall(wire.transport_end, data)
    finally:
        wire.end_input()
        if reading is not None:
            reading.cancel()


async def _outgoing(wire: Wire, write: Write) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(wire.transport_end, CHUNK):
        await write(data)
