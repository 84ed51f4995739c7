"""The wire between a transport and a git conversation: the two ends of a socket pair.

The transport pumps bytes on one end, in the event loop; the handler speaks git on the other, in a
thread of its own, and hands its end's file descriptor to git children as it is.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from dulwich.protocol import Protocol

_WRITE_SECONDS = 600  # a client that takes nothing for so long is gone


class Wire:
    """Both ends. ``expecting`` tells the transport that silence now is the client's."""

    def __init__(self) -> None:
        self.transport_end, self.handler_end = socket.socketpair()
        self.transport_end.setblocking(False)
        self._set_timeout(socket.SO_SNDTIMEO, _WRITE_SECONDS)
        self._expecting = threading.Event()
        self.timed_out = False

    @property
    def expecting(self) -> bool:
        """Whether the handler waits for the client to send something."""
        return self._expecting.is_set()

    @expecting.setter
    def expecting(self, value: bool) -> None:
        (self._expecting.set if value else self._expecting.clear)()

    def end_input(self) -> None:
        """Show the handler the end of the client's input."""
        with suppress(OSError):  # the handler has closed its end already
            self.transport_end.shutdown(socket.SHUT_WR)

    def protocol(self) -> Protocol:
        """Return dulwich's protocol with exact reads: what follows is left in the socket."""
        return Protocol(self.read, self._write)

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes; fewer only at the end of the input."""
        self.expecting = True
        try:
            data = self.handler_end.recv(size, socket.MSG_WAITALL)
            while data and len(data) < size:
                more = self.handler_end.recv(size - len(data), socket.MSG_WAITALL)
                if not more:
                    break
                data += more
            return data
        finally:
            self.expecting = False

    def _write(self, data: bytes) -> None:
        self.handler_end.sendall(data)

    def _set_timeout(self, option: int, seconds: int) -> None:
        self.handler_end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))

    def close_handler_end(self) -> None:
        """Tell the transport that the conversation is over."""
        self.handler_end.close()
