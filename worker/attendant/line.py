"""A line to a receiver that has called: this end is the SSH server (``enclave.attending``)."""

from __future__ import annotations

import asyncio
import logging
import shlex

import asyncssh

from enclave.attending import line_key
from enclave.store import Store
from worker.attendant.sessions import Sessions

logger = logging.getLogger(__name__)

_LOGIN_SECONDS = 10
_KEEPALIVE_SECONDS = 15
_WINDOW = 64 << 10  # bytes a receiver may send ahead: what somebody types


class Line:
    """Dials receivers, each time for one session."""

    def __init__(self, store: Store, sessions: Sessions) -> None:
        key = asyncssh.import_private_key(line_key(store.sealer))
        self._key = key
        self._allowed = asyncssh.import_authorized_keys(key.export_public_key().decode("ascii"))
        self._sessions = sessions

    async def dial(self, address: str) -> None:
        """Serve the receiver at ``address`` (host:port) until it hangs up."""
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                connection = await asyncssh.connect_reverse(
                    host,
                    int(port),
                    server_factory=_Receiver,
                    server_host_keys=[self._key],
                    authorized_client_keys=self._allowed,
                    process_factory=self._sessions.serve,
                    encoding=None,
                    line_editor=False,
                    allow_scp=False,
                    window=_WINDOW,
                    login_timeout=_LOGIN_SECONDS,
                    keepalive_interval=_KEEPALIVE_SECONDS,
                )
        except (OSError, TimeoutError, asyncssh.Error) as error:
            logger.warning("no line to the receiver at %s: %s", shlex.quote(address), error)
            return
        await connection.wait_closed()


class _Receiver(asyncssh.SSHServer):
    """Who dialled nobody: the receiver at the other end, which must have our key."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 -- asyncssh's signature
        """Everyone must authenticate; nobody by another name gets in."""
        return True

    def password_auth_supported(self) -> bool:
        """Only by the key."""
        return False
