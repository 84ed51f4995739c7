"""Listening sockets: shared by several receivers, and quick for clients that talk in small pieces.

OpenSSH's client sends its key exchange and its login in small pieces without TCP_NODELAY, so each
waits for our acknowledgement, which the kernel delays by 40 ms to send it along with data. A push
of two files took 120 ms with those waits and takes 45 without (tcp(7), TCP_QUICKACK).
"""

from __future__ import annotations

import socket
from typing import Any

_BACKLOG = 1024


class PromptSocket(socket.socket):
    """Asks for immediate acknowledgement after each read; the kernel forgets it in between."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read as ``socket.recv`` does."""
        data = super().recv(bufsize, flags)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


class PromptListener(socket.socket):
    """A listening socket that gives ``PromptSocket`` connections."""

    def accept(self) -> tuple[PromptSocket, Any]:
        """Accept as ``socket.accept`` does."""
        connection, address = super().accept()
        return PromptSocket(fileno=connection.detach()), address


def listen(host: str, port: int, kind: type[socket.socket] = socket.socket) -> socket.socket:
    """Return a listener for asyncio on the first address of ``host``. Raises ``OSError``.

    Others may listen on the same address (socket(7), SO_REUSEPORT): the kernel spreads connections
    over them, which is how several receivers share a port.
    """
    family, sort, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = kind(family, sort, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener
