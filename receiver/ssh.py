"""Git over SSH (asyncssh): public keys in, two commands, nothing else (SPEC 2.11)."""

from __future__ import annotations

import asyncio
import logging
import shlex
import socket
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asyncssh

from enclave.errors import EnclaveError, StoreUnavailable, TooManyRequests
from enclave.files import create_private
from enclave.people import User
from enclave.settings import Settings
from enclave.store import Store
from receiver.conversation import STORE_AWAY, Conversations, GitService
from receiver.listening import PromptListener, listen
from receiver.paths import read_path
from receiver.places import Place, Places
from receiver.pump import pump
from receiver.ssh_algorithms import MACS, ciphers
from receiver.ssh_session import GitSession

logger = logging.getLogger(__name__)

_USERNAME = "git"
_WINDOW = 1 << 20  # bytes a client may send ahead on a channel
_MOST_KEYS = 20  # that one connection may try; OpenSSH's server takes 6, an agent may hold more
_MOST_SESSIONS = 10  # at a time on one connection (sshd_config(5), MaxSessions)
_COMMAND_LETTERS = 1024  # splitting takes long for long ones
_LINGER_SECONDS = 1.0
_UNREAD_BYTES = 1 << 16
_REFUSED = 128  # what git's own server programs exit with
_BROKEN_OFF = 1


class _Gate(asyncssh.SSHServer):
    """Lets a connection in by public key. The identity is the key that signed, not one offered."""

    def __init__(self, house: GitOverSSH) -> None:
        self._house = house
        self._connection: asyncssh.SSHServerConnection | None = None
        self._place: Place | None = None
        self._address = ""
        self._tried = 0
        self._last_validated: User | None = None
        self._user: User | None = None
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
        if self._tried and self._user is None:
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
        completes, the last user found here is the one who signed.
        """
        self._last_validated = None
        if self._tried >= _MOST_KEYS:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE,
                "too many keys tried: name the right one (IdentityFile, IdentitiesOnly yes)",
            )
        user = await self._house.user_of(key) if username == _USERNAME else None
        self._tried += 1
        self._last_validated = user
        return user is not None

    def auth_completed(self) -> None:
        """The signature held: fix the identity for the connection's life."""
        self._user = self._last_validated
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
        if self._user is not None and self._place is not None:
            await self._house.serve(session, self._user, self._place)

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


class GitOverSSH:
    """The SSH server: ``start`` it, ``close`` what that returns."""

    def __init__(
        self, store: Store, settings: Settings, conversations: Conversations, places: Places
    ) -> None:
        self._store = store
        self.settings = settings
        self._conversations = conversations
        self.places = places

    async def start(self) -> asyncssh.SSHAcceptor:
        """Listen; returns the acceptor, whose ``close`` ends the listening."""
        return await asyncssh.create_server(
            lambda: _Gate(self),
            sock=listen(self.settings.ssh_host, self.settings.ssh_port, PromptListener),
            window=_WINDOW,
            server_host_keys=host_keys(self.settings.data),
            encoding=None,
            allow_scp=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
            encryption_algs=ciphers(),
            mac_algs=MACS,
            compression_algs=None,
            login_timeout=self.settings.login_seconds,
            keepalive_interval=30,
        )

    async def user_of(self, key: asyncssh.SSHKey) -> User | None:
        """Return whose key it is. Raises ``DisconnectError`` when nobody can tell."""
        fingerprint = key.get_fingerprint("sha256")
        try:
            return await asyncio.to_thread(self._store.people.user_by_fingerprint, fingerprint)
        except StoreUnavailable as error:  # "permission denied" would not be true
            logger.warning("a key could not be looked up", exc_info=True)
            raise asyncssh.DisconnectError(
                asyncssh.DISC_SERVICE_NOT_AVAILABLE, STORE_AWAY
            ) from error

    async def serve(self, session: GitSession, user: User, place: Place) -> None:
        """Answer one session of a connection, whatever goes wrong."""
        try:
            await self._answer(session, user, place)
        except Exception:  # the outermost frame of a session
            reference = uuid.uuid4().hex[:12]
            logger.exception("session %s failed", reference)
            words = f"ERROR: internal error {reference}: tell the server's operator\n"
            session.end(_REFUSED, words)

    async def _answer(self, session: GitSession, user: User, place: Place) -> None:
        if session.command is None:
            await session.write(
                f"Hi {user.email}! Welcome to Aptible. "
                "Please use `git push` to connect.\r\n".encode()
            )
            session.end(0)
            return
        try:
            service, environment, app = _read_command(session.command)
            request = await asyncio.to_thread(
                self._conversations.admit, user, environment, app, service
            )
        except StoreUnavailable:
            logger.warning("a conversation could not begin", exc_info=True)
            session.end(_REFUSED, f"ERROR: {STORE_AWAY}\n")
            return
        except EnclaveError as error:
            session.end(_REFUSED, f"ERROR: {error}\n")
            return
        wire = self._conversations.start(replace(request, waiting=place.waiting))
        status = _BROKEN_OFF
        try:
            await pump(
                wire,
                session.read,
                session.write,
                idle=self.settings.push_idle_seconds,
                gone=session.gone,
            )
            status = 0
        except (ConnectionError, asyncssh.Error) as error:
            logger.info("the client of %s went away: %s", request.app.name, error)
        finally:
            # At once, and not when the client ends its input: it may be in the middle of a pack
            # that is refused already, and has our last word only when it stops sending.
            session.end(status)


def _read_command(command: str) -> tuple[GitService, str, str]:
    """Return service, environment and app of ``git-receive-pack '/ENV/APP.git'``.

    The words are split as a shell would and never run. Raises ``NotFound``.
    """
    return read_path(*_words(command))


def _words(command: str) -> tuple[str, str]:
    try:
        words = shlex.split(command) if len(command) <= _COMMAND_LETTERS else []
    except ValueError:
        words = []
    if len(words) == 3 and words[0] == "git":
        words = [f"git-{words[1]}", words[2]]
    return (words[0], words[1]) if len(words) == 2 else ("", "")


def host_keys(data: Path) -> list[asyncssh.SSHKey]:
    """Return this server's host keys, made on first use and kept: Ed25519, RSA for old clients."""
    ed25519, rsa = data / "host.ssh-ed25519", data / "host.ssh-rsa"
    if not ed25519.exists():
        create_private(ed25519, asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    if not rsa.exists():
        key = asyncssh.generate_private_key("ssh-rsa", key_size=3072)
        create_private(rsa, key.export_private_key())
    return [asyncssh.read_private_key(str(path)) for path in (ed25519, rsa)]
