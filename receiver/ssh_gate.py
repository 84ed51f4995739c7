"""Who comes in over SSH for git: by a user's public key, for git sessions only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

from enclave.principal import Principal
from receiver.ssh_door import Door
from receiver.ssh_session import GitSession

if TYPE_CHECKING:
    from receiver.ssh import GitOverSSH

_USERNAME = "git"
_MOST_KEYS = 20  # that one connection may try; OpenSSH's server takes 6, an agent may hold more


class Gate(Door):
    """Lets a connection in by public key. The identity is the key that signed, not one offered."""

    most_sessions = 10

    def __init__(self, house: GitOverSSH) -> None:
        super().__init__(house.places, house.settings)
        self._house = house
        self._last_validated: Principal | None = None
        self._principal: Principal | None = None

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
        super().auth_completed()

    def session_requested(self) -> GitSession:
        """Open a session, up to ten at a time. Raises ``ChannelOpenError``."""
        self.enter_session()
        return GitSession(self._serve, self.leave_session)

    async def _serve(self, session: GitSession) -> None:
        self.session_used()
        if self._principal is not None and self.place is not None:
            await self._house.serve(session, self._principal, self.place)
