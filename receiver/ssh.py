"""Git over SSH (asyncssh): public keys in, two commands, nothing else (SPEC 2.11)."""

from __future__ import annotations

import asyncio
import logging
import shlex
from pathlib import Path

import asyncssh

from enclave.errors import EnclaveError, StoreUnavailable
from enclave.files import create_private
from enclave.people import User
from enclave.settings import Settings
from enclave.store import Store
from receiver.conversation import STORE_AWAY, Conversations, GitService
from receiver.paths import read_path
from receiver.prompt_socket import listen
from receiver.pump import pump

logger = logging.getLogger(__name__)

_USERNAME = "git"
_LOGIN_SECONDS = 30
_WINDOW = 1 << 20  # bytes a client may send ahead on a channel
_READ = 4 * _WINDOW
"""More than two windows at a time. asyncssh reopens the whole window with each piece it delivers,
whatever lies behind that undelivered; small reads let a fast client fill memory with its pack."""
_REFUSED = 128  # what git's own server programs exit with
_BROKEN_OFF = 1


class _Gate(asyncssh.SSHServer):
    """Lets a connection in by public key. The identity is the key that signed, not one offered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: asyncssh.SSHServerConnection | None = None
        self._last_validated: User | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep the connection, to leave the user on it."""
        self._connection = conn

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
        request; so when authentication completes, the last user found here is the one who signed.
        """
        self._last_validated = None
        if username != _USERNAME:
            return False
        fingerprint = key.get_fingerprint("sha256")
        try:
            user = await asyncio.to_thread(self._store.people.user_by_fingerprint, fingerprint)
        except StoreUnavailable as error:  # "permission denied" would not be true
            logger.warning("a key could not be looked up", exc_info=True)
            raise asyncssh.DisconnectError(
                asyncssh.DISC_SERVICE_NOT_AVAILABLE, STORE_AWAY
            ) from error
        self._last_validated = user
        return user is not None

    def auth_completed(self) -> None:
        """The signature held: fix the identity for the connection's life."""
        if self._connection is not None:
            self._connection.set_extra_info(enclave_user=self._last_validated)


class GitOverSSH:
    """The SSH server: ``start`` it, ``close`` it."""

    def __init__(self, store: Store, settings: Settings, conversations: Conversations) -> None:
        self._store = store
        self._settings = settings
        self._conversations = conversations

    async def start(self) -> asyncssh.SSHAcceptor:
        """Listen; returns the acceptor, whose ``close`` ends the listening."""
        return await asyncssh.create_server(
            lambda: _Gate(self._store),
            sock=listen(self._settings.ssh_host, self._settings.ssh_port),
            window=_WINDOW,
            server_host_keys=host_keys(self._settings.data),
            process_factory=self._serve,
            encoding=None,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
            compression_algs=None,
            login_timeout=_LOGIN_SECONDS,
            keepalive_interval=30,
        )

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Answer one session of a connection."""
        user: User = process.get_extra_info("enclave_user")
        if process.command is None:
            process.stdout.write(
                f"Hi {user.email}! Welcome to Aptible. "
                "Please use `git push` to connect.\r\n".encode()
            )
            process.exit(0)
            return
        try:
            service, environment, app = _read_command(process.command)
            request = await asyncio.to_thread(
                self._conversations.admit, user, environment, app, service
            )
        except StoreUnavailable:
            logger.warning("a conversation could not begin", exc_info=True)
            _refuse(process, STORE_AWAY)
            return
        except EnclaveError as error:
            _refuse(process, str(error))
            return
        wire = self._conversations.start(request)

        async def read() -> bytes:
            return await process.stdin.read(_READ)

        async def write(data: bytes) -> None:
            process.stdout.write(data)
            await process.stdout.drain()

        status = _BROKEN_OFF
        try:
            await pump(
                wire,
                read,
                write,
                idle=self._settings.push_idle_seconds,
                gone=process.channel.wait_closed,
            )
            status = 0
        except (ConnectionError, asyncssh.Error) as error:
            logger.info("the client of %s went away: %s", request.app.name, error)
        finally:
            # At once, and not when the client ends its input: it may be in the middle of a pack
            # that is refused already, and has our last word only when it stops sending.
            process.exit(status)


def _refuse(process: asyncssh.SSHServerProcess[bytes], sentence: str) -> None:
    process.stderr.write(f"ERROR: {sentence}\n".encode())
    process.exit(_REFUSED)


def _read_command(command: str) -> tuple[GitService, str, str]:
    """Return service, environment and app of ``git-receive-pack '/ENV/APP.git'``.

    The words are split as a shell would and never run. Raises ``NotFound``.
    """
    return read_path(*_words(command))


def _words(command: str) -> tuple[str, str]:
    try:
        words = shlex.split(command)
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
