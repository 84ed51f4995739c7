"""What is typed into a terminal, and what the Engine refuses meanwhile."""

import asyncio
from typing import Any, cast

import asyncssh
import pytest

from enclave.errors import OperationFailed
from worker.attendant.visit import Visit


class Visitor:
    """Both ends of a visit: says what is queued, and keeps what reaches the container."""

    def __init__(self, *said: bytes | Exception) -> None:
        self._said = [*said, b""]
        self.typed = b""
        self.told: list[object] = []
        self.stdin = self

    async def read(self, _: int) -> bytes:
        said = self._said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def write(self, data: bytes) -> None:
        self.typed += data

    async def drain(self) -> None:
        pass

    def signal(self, name: str) -> None:
        self.told.append(name)
        raise OperationFailed("The Docker Engine could not send a signal: Invalid signal")

    def resize(self, *, columns: int, rows: int) -> None:
        self.told.append((columns, rows))
        raise OperationFailed("The Docker Engine did not answer within 60 s.")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (asyncssh.SignalReceived("INFO"), "INFO"),
        (asyncssh.TerminalSizeChanged(80, 24, 0, 0), (80, 24)),
    ],
    ids=["signal", "size"],
)
def test_typing_goes_on_after_what_the_engine_refused(said: Exception, told: object) -> None:
    visitor = Visitor(b"l", said, b"s\n")
    both = cast(Any, visitor)
    asyncio.run(Visit(both, both, terminal=True)._type(both))
    assert visitor.typed == b"ls\n"
    assert visitor.told == [told]
