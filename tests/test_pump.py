"""Bytes between a client and a wire: how each end of it may end."""

import asyncio
import threading

import pytest

from receiver.pump import pump
from receiver.wire import Wire

_WORD = b"refused" * 100_000


class Client:
    """Sends without end, as one in the middle of a pack does, or is silent."""

    def __init__(self, *, sends: bool = True) -> None:
        self._sends = sends
        self.heard = b""
        self.left = asyncio.Event()

    async def read(self) -> bytes:
        if not self._sends:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return bytes(1 << 16)

    async def write(self, data: bytes) -> None:
        self.heard += data

    async def pump(self, wire: Wire) -> None:
        async with asyncio.timeout(10):
            await pump(wire, self.read, self.write, idle=60, gone=self.left.wait)


def test_the_last_word_gets_out_while_the_client_still_sends() -> None:
    async def converse() -> None:
        wire, client = Wire(), Client()

        def handle() -> None:
            wire.protocol().write(_WORD)
            wire.finish()

        handler = threading.Thread(target=handle)
        handler.start()
        await client.pump(wire)
        await asyncio.to_thread(handler.join, 10)
        assert not handler.is_alive()
        assert client.heard == _WORD

    asyncio.run(converse())


def test_a_handler_that_closes_with_input_unread_has_ended() -> None:
    async def converse() -> None:
        wire, client = Wire(), Client()
        pumping = asyncio.create_task(client.pump(wire))
        await asyncio.to_thread(wire.read, 100)
        wire.close_handler_end()
        await pumping
        assert client.heard == b""

    asyncio.run(converse())


def test_a_client_that_vanishes_ends_the_wire() -> None:
    async def converse() -> None:
        wire, client = Wire(), Client(sends=False)
        pumping = asyncio.create_task(client.pump(wire))
        client.left.set()
        with pytest.raises(ConnectionResetError):
            await pumping
        assert wire.read(1) == b""
        with pytest.raises(OSError, match="Broken pipe"):
            wire.protocol().write(b"still there?")
        wire.finish()

    asyncio.run(converse())


def test_a_client_that_takes_nothing_is_given_up() -> None:
    async def converse() -> None:
        wire = Wire()

        async def read() -> bytes:
            await asyncio.Event().wait()
            return b""

        async def write(_data: bytes) -> None:
            await asyncio.Event().wait()

        wire.protocol().write(b"are you there?")
        with pytest.raises(ConnectionAbortedError, match="takes nothing"):
            await pump(wire, read, write, idle=0.1)
        wire.close_handler_end()

    asyncio.run(converse())
