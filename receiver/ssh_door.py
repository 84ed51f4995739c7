"""A connection over SSH before anybody knows whose it is: a place, deadlines, and the way out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import asyncssh

from enclave.errors import TooManyRequests
from enclave.settings import Settings
from receiver.listening import PromptListener, listen
from receiver.places import Place, Places
from receiver.ssh_algorithms import MACS, ciphers

_KEEPALIVE_SECONDS = 30
_LINGER_SECONDS = 1.0
_UNREAD_BYTES = 1 << 16


class Door(asyncssh.SSHServer):
    """Gives a connection a place; who comes through is for the kind of door to say.

    ``most_sessions`` may be open at a time on one connection (sshd_config(5), MaxSessions).
    """

    most_sessions = 1

    def __init__(self, places: Places, settings: Settings) -> None:
        self._places, self._settings = places, settings
        self._connection: asyncssh.SSHServerConnection | None = None
        self._address = ""
        self._tried = 0
        self._proved = False
        self._sessions = 0
        self._idle: asyncio.TimerHandle | None = None
        self.place: Place | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take a place for the connection, or say why there is none."""
        self._connection = conn
        self._address = str(conn.get_extra_info("peername", ("",))[0])
        try:
            self._places.check_failures(self._address)
            self.place = self._places.take(self._address, self._make_room)
        except TooManyRequests as error:
            # Soon, not now: the client reads our version before it understands a message.
            asyncio.get_running_loop().call_soon(self.disconnect, str(error))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncssh's signature
        """Give the place back; who tried keys in vain has failed to log in."""
        if self._idle is not None:
            self._idle.cancel()
        if self.place is not None:
            self.place.leave()
        if self._tried and not self._proved:
            self._places.failed(self._address)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 -- asyncssh's signature
        """Everyone must authenticate."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Only public keys are accepted."""
        return True

    def password_auth_supported(self) -> bool:
        """There are no passwords over SSH."""
        return False

    def kbdint_auth_supported(self) -> bool:
        """There are no passwords in another dress either."""
        return False

    def auth_completed(self) -> None:
        """The signature held: the place is safe for as long as it is used."""
        self._proved = True
        if self.place is not None:
            self.place.prove()
        self._close_unless_used(self._settings.login_seconds)

    def enter_session(self) -> None:
        """Count a session that begins. Raises ``ChannelOpenError`` when too many are open."""
        if self._sessions >= self.most_sessions:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"{self.most_sessions} sessions are open already"
            )
        self._sessions += 1

    def session_used(self) -> None:
        """Something runs: the connection is not idle."""
        if self._idle is not None:
            self._idle.cancel()

    def leave_session(self) -> None:
        """Count a session that ended; without any, the connection is closed after a time."""
        self._sessions -= 1
        if self._sessions == 0:
            self._close_unless_used(self._settings.idle_seconds)

    def disconnect(self, words: str) -> None:
        """End the connection, and say why."""
        if self._connection is None:
            return
        # The socket is held for a moment: closed with input unread it would be reset, and the
        # client would lose the words.
        held = self._connection.get_extra_info("socket").dup()
        self._connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, words)
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, _let_go, held)

    def _close_unless_used(self, seconds: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        words = f"nothing ran here for {seconds:.0f}s"
        self._idle = asyncio.get_running_loop().call_later(seconds, self.disconnect, words)

    def _make_room(self) -> None:
        self.disconnect("this connection made room for others: try again")


async def open_doors(
    door: Callable[[], Door],
    settings: Settings,
    *,
    port: int,
    keys: Sequence[asyncssh.SSHKey],
    **more: object,
) -> asyncssh.SSHAcceptor:
    """Listen on a port of ``SSH_HOST``, as the host with these keys: bytes, and no forwarding.

    ``more`` is what asyncssh's ``create_server`` takes besides. ``close`` what it returns to end
    that.
    """
    return await asyncssh.create_server(
        door,
        sock=listen(settings.ssh_host, port, PromptListener),
        server_host_keys=list(keys),
        encoding=None,
        allow_scp=False,
        line_editor=False,
        agent_forwarding=False,
        x11_forwarding=False,
        encryption_algs=ciphers(),
        mac_algs=MACS,
        compression_algs=None,
        login_timeout=settings.login_seconds,
        keepalive_interval=_KEEPALIVE_SECONDS,
        **more,
    )


def _let_go(held: socket.socket) -> None:
    """Read what still came, and close."""
    held.setblocking(False)
    with suppress(OSError):
        while held.recv(_UNREAD_BYTES):
            pass
    held.close()
