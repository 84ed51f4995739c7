"""Who comes in over SSH: by public key, into a place, with deadlines, for git sessions only."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncssh

from enclave.errors import TooManyRequests
from enclave.principal import Principal
from receiver.places import Place
from receiver.ssh_session import GitSession

if TYPE_CHECKING:
    from receiver.ssh import GitOverSSH

_USERNAME = "git"
_MOST_KEYS = 20  # that one connection may try; OpenSSH's server takes 6, an agent may hold more
_MOST_SESSIONS = 10  # at a time on one connection (sshd_config(5), MaxSessions)
_LINGER_SECONDS = 1.0
_UNREAD_BYTES = 1 << 16


class Gate(asyncssh.SSHServer):
    """Lets a connection in by public key. The identity is the key that signed, not one offered."""

    def __init__(self, house: GitOverSSH) -> None:
        self._house = house
        self._connection: asyncssh.SSHServerConnection | None = None
        self._place: Place | None = None
        self._address = ""
        self._tried = 0
        self._last_validated: Principal | None = None
        self._principal: Principal | None = None
        self._sessions = 0
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take a place for the connection, or say why there is none."""
        self._connection = conn
        self._address = str(conn.get_extra_info("peername", ("",))[0])
        places = self._house.places
        try:
            places.check_failures(self._address)
            self._place = places.take(self._address, self._make_room)
        except TooManyRequests as error:
            # Soon, not now: the client reads our version before it understands a message.
            asyncio.get_running_loop().call_soon(self._disconnect, str(error))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncssh's signature
        """Give the place back; who tried keys in vain has failed to log in."""
        if self._idle is not None:
            self._idle.cancel()
        if self._place is not None:
            self._place.leave()
        if self._tried and self._principal is None:
            self._house.places.failed(self._address)

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

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Look up whose key this is; called for a key offered, and again for the one that signs.

        asyncssh checks the signature right after this returns, without giving way to another
        request, and a later request cancels an earlier one that waits here; so when authentication
        completes, the last one found here is the one who signed.
        """
        self._last_validated = None
        if self._tried >= _MOST_KEYS:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE,
                "too many keys tried: name the right one (IdentityFile, IdentitiesOnly yes)",
            )
        found = await self._house.principal_of(key) if username == _USERNAME else None
        self._tried += 1
        self._last_validated = found
        return found is not None

    def auth_completed(self) -> None:
        """The signature held: fix the identity for the connection's life."""
        self._principal = self._last_validated
        if self._place is not None:
            self._place.prove()
        self._close_unless_used(self._house.settings.login_seconds)

    def session_requested(self) -> GitSession:
        """Open a session, up to ten at a time. Raises ``ChannelOpenError``."""
        if self._sessions >= _MOST_SESSIONS:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"{_MOST_SESSIONS} sessions are open already"
            )
        self._sessions += 1
        return GitSession(self._serve, self._session_ended)

    async def _serve(self, session: GitSession) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._principal is not None and self._place is not None:
            await self._house.serve(session, self._principal, self._place)

    def _session_ended(self) -> None:
        self._sessions -= 1
        if self._sessions == 0:
            self._close_unless_used(self._house.settings.idle_seconds)

    def _close_unless_used(self, seconds: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        words = f"nothing ran here for {seconds:.0f}s"
        self._idle = asyncio.get_running_loop().call_later(seconds, self._disconnect, words)

    def _make_room(self) -> None:
        self._disconnect("this connection made room for others: try again")

    def _disconnect(self, words: str) -> None:
        if self._connection is None:
            return
        # The socket is held for a moment: closed with input unread it would be reset, and the
        # client would lose the words.
        held = self._connection.get_extra_info("socket").dup()
        self._connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, words)
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, _let_go, held)


def _let_go(held: socket.socket) -> None:
    """Read what still came, and close."""
    held.setblocking(False)
    with suppress(OSError):
        while held.recv(_UNREAD_BYTES):
            pass
    held.close()
