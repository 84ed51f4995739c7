"""The wire between a transport and a git conversation: the two ends of a socket pair.

The transport pumps bytes on one end, in the event loop; the handler speaks git on the other, in a
thread of its own, and hands its end's file descriptor to git children as it is.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from contextlib import suppress

from dulwich.protocol import Protocol

_WRITE_SECONDS = 600  # a client that takes nothing for so long is gone
_DRAIN_SECONDS = 30.0  # for what still comes when the handler has said its last word
_DRAIN_BYTES = 1 << 16
_PACE_SECONDS = 5.0


class Wire:
    """Both ends, and how the client is doing: what either side needs to know of the other.

    The handler sets ``expecting`` while it waits for the client to send something, and ``deadline``
    (monotonic) for when that must be over. The transport sets ``sending`` while the client takes
    nothing, and ``timed_out`` once it has been silent for too long.
    """

    def __init__(self) -> None:
        self.transport_end, self.handler_end = socket.socketpair()
        self.transport_end.setblocking(False)
        self._set_timeout(socket.SO_SNDTIMEO, _WRITE_SECONDS)
        self.expecting = False
        self.sending = False
        self.deadline = math.inf
        self.timed_out = False
        self.broken_off = ""
        self.has_last_word = True
        self._pace, self._paced_at = 0.0, time.monotonic()

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing can go on before the client sends, or takes, something."""
        return self.expecting or self.sending

    @property
    def pace(self) -> float:
        """Bytes a second, both ways, of about the last five seconds."""
        return self._pace * math.exp((self._paced_at - time.monotonic()) / _PACE_SECONDS)

    def moved(self, size: int) -> None:
        """Note that ``size`` bytes went through; only the transport calls this."""
        self._pace, self._paced_at = self.pace + size / _PACE_SECONDS, time.monotonic()

    def break_off(self, why: str) -> None:
        """Take the rest of the client's input away; the handler finds ``broken_off``, the reason.

        A handler that could not tell it anyway (``has_last_word`` False) can write no more, either.
        Any thread may call this, once.
        """
        self.broken_off = why
        with suppress(OSError):  # the handler has closed its end already
            self.handler_end.shutdown(socket.SHUT_RD if self.has_last_word else socket.SHUT_RDWR)

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
        try:
            self.handler_end.sendall(data)
        except BlockingIOError as error:  # SO_SNDTIMEO ran out: socket(7)
            raise ConnectionAbortedError("the client takes nothing") from error

    def _set_timeout(self, option: int, seconds: int) -> None:
        self.handler_end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))

    def finish(self) -> None:
        """End the conversation: what was said gets out, what still comes is read and dropped.

        Closing with input unread would reset the connection (unix(7)), and the last word be lost.
        """
        with suppress(OSError):
            self.handler_end.shutdown(socket.SHUT_WR)
            self._drain()
        self.close_handler_end()

    def _drain(self) -> None:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            self.handler_end.settimeout(left)
            if not self.handler_end.recv(_DRAIN_BYTES):
                return

    def close_handler_end(self) -> None:
        """Close the handler's end, whatever is still in it."""
        self.handler_end.close()
