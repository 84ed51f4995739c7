"""A crowd of clients that take their time: connections that say nothing, or a byte a second.

Everything is bounded: how many connections there are, how many are ever made and how quickly, and
how long the crowd stays.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bench.pushing.raw_push import Address

_TICK_SECONDS = 1.0
_AGAIN_A_TICK = 100
_MOST_CONNECTIONS = 20_000
_CHUNK = 1 << 16
_GATHER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client behaves: ``opening`` at once, then ``drip`` byte by byte, then silence."""

    title: str
    address: Address
    opening: bytes = b""
    drip: bytes = b""


@dataclass(slots=True)
class _Client:
    manner: Manner
    source: str
    connection: socket.socket | None = None
    said: int = 0
    unsent: bytes = b""

    def connect(self) -> None:
        """Begin to connect, from an address of its own. Raises ``OSError``."""
        connection = socket.socket()
        try:
            connection.bind((self.source, 0))
            connection.setblocking(False)
            connection.connect_ex(self.manner.address)
        except OSError:
            connection.close()
            raise
        self.connection, self.said, self.unsent = connection, 0, self.manner.opening

    def go_on(self) -> bool:
        """Read what came, say the next byte. Returns False when the server has closed."""
        assert self.connection is not None
        self.unsent += self.manner.drip[self.said : self.said + 1]
        self.said += 1
        try:
            if self.unsent:
                self.unsent = self.unsent[self.connection.send(self.unsent) :]
            while self.connection.recv(_CHUNK):
                pass
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.leave()
        return False

    def leave(self) -> None:
        """Close the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass(slots=True)
class Crowd:
    """``with Crowd(…):`` the clients stand around. Whom the server sends away comes again.

    ``connections`` and ``sent_away`` count by manner. The crowd leaves after ``seconds`` whatever
    happens, and ``left`` then tells that it did not stay to the end.
    """

    manners: Sequence[tuple[Manner, int]]
    seconds: float
    connections: Counter[str] = field(default_factory=Counter)
    sent_away: Counter[str] = field(default_factory=Counter)
    left: bool = False
    _gathered: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Return when every client has connected once."""
        self._thread = threading.Thread(target=self._stand, name="crowd", daemon=True)
        self._thread.start()
        if not self._gathered.wait(_GATHER_SECONDS):
            self._end()
            raise RuntimeError("the crowd did not gather in time")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(_GATHER_SECONDS)

    def _stand(self) -> None:
        sources = _addresses()
        clients = [
            _Client(manner, next(sources)) for manner, number in self.manners for _ in range(number)
        ]
        deadline = time.monotonic() + self.seconds
        try:
            while not self._over.is_set() and self.connections.total() < _MOST_CONNECTIONS:
                begin = time.monotonic()
                if begin > deadline:
                    break
                self._tick(clients)
                if self.connections.total() >= len(clients):
                    self._gathered.set()
                self._over.wait(max(0.0, begin + _TICK_SECONDS - time.monotonic()))
            self.left = not self._over.is_set()
        finally:
            for client in clients:
                client.leave()

    def _tick(self, clients: Sequence[_Client]) -> None:
        may_connect = _AGAIN_A_TICK
        for client in clients:
            if client.connection is not None:
                if not client.go_on():
                    self.sent_away[client.manner.title] += 1
            elif may_connect > 0:
                may_connect -= 1
                self.connections[client.manner.title] += 1
                client.connect()


def _addresses() -> Iterator[str]:
    """Yield addresses of the loopback network, each once, none of them 127.0.0.1."""
    for third in range(1, 256):
        for fourth in range(1, 255):
            yield f"127.0.{third}.{fourth}"
