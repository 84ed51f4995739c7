"""Git over SSH (asyncssh): public keys in, two commands, nothing else (SPEC 2.11)."""

from __future__ import annotations

import asyncio
import logging
import shlex
import uuid
from dataclasses import replace

import asyncssh

from enclave.access import key_holder
from enclave.errors import EnclaveError, StoreUnavailable
from enclave.principal import Principal
from enclave.settings import Settings
from enclave.store import Store
from receiver.conversation import STORE_AWAY, Conversations, GitService
from receiver.paths import read_path
from receiver.places import Place, Places
from receiver.pump import pump
from receiver.ssh_door import open_doors
from receiver.ssh_gate import Gate
from receiver.ssh_session import GitSession

logger = logging.getLogger(__name__)

_WINDOW = 1 << 20  # bytes a client may send ahead on a channel
_COMMAND_LETTERS = 1024  # splitting takes long for long ones
_REFUSED = 128  # what git's own server programs exit with
_BROKEN_OFF = 1


class GitOverSSH:
    """The SSH server: ``start`` it, ``close`` what that returns."""

    def __init__(
        self, store: Store, settings: Settings, conversations: Conversations, places: Places
    ) -> None:
        self._store = store
        self.settings = settings
        self._conversations = conversations
        self.places = places

    async def start(self, keys: list[asyncssh.SSHKey]) -> asyncssh.SSHAcceptor:
        """Listen, as the host with these keys; ``close`` what it returns to end that."""
        return await open_doors(
            lambda: Gate(self),
            self.settings,
            port=self.settings.ssh_port,
            keys=keys,
            window=_WINDOW,
            allow_pty=False,
        )

    async def principal_of(self, key: asyncssh.SSHKey) -> Principal | None:
        """Return who has that key. Raises ``DisconnectError`` when nobody can tell."""
        fingerprint = key.get_fingerprint("sha256")
        try:
            return await asyncio.to_thread(key_holder, self._store, fingerprint)
        except StoreUnavailable as error:  # "permission denied" would not be true
            logger.warning("a key could not be looked up", exc_info=True)
            raise asyncssh.DisconnectError(
                asyncssh.DISC_SERVICE_NOT_AVAILABLE, STORE_AWAY
            ) from error

    async def serve(self, session: GitSession, principal: Principal, place: Place) -> None:
        """Answer one session of a connection, whatever goes wrong."""
        try:
            await self._answer(session, principal, place)
        except Exception:  # the outermost frame of a session
            reference = uuid.uuid4().hex[:12]
            logger.exception("session %s failed", reference)
            words = f"ERROR: internal error {reference}: tell the server's operator\n"
            session.end(_REFUSED, words)

    async def _answer(self, session: GitSession, principal: Principal, place: Place) -> None:
        if session.command is None:
            await session.write(
                f"Hi {principal.user.email}! Welcome to Aptible. "
                "Please use `git push` to connect.\r\n".encode()
            )
            session.end(0)
            return
        try:
            service, environment, app = _read_command(session.command)
            request = await asyncio.to_thread(
                self._conversations.admit, principal, environment, app, service
            )
        except StoreUnavailable:
            logger.warning("a conversation could not begin", exc_info=True)
            session.end(_REFUSED, f"ERROR: {STORE_AWAY}\n")
            return
        except EnclaveError as error:
            session.end(_REFUSED, f"ERROR: {error}\n")
            return
        agent = session.channel.get_extra_info("client_version", "")
        request = replace(request, waiting=place.waiting, source=place.source, agent=str(agent))
        wire = self._conversations.start(request)
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
