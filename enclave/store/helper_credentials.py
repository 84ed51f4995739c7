"""What credential helpers gave, sealed, for as long as it is used again.

In Redis, because each operation runs in a process of its own.
"""

from __future__ import annotations

from pydantic import ValidationError

from enclave.codec import decode, encode
from enclave.credentials import RegistryCredentials
from enclave.errors import Misconfigured
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost


class HelperCredentials:
    """A cache: what cannot be opened any more counts as not there."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._redis, self._sealer = database.redis, sealer

    def get(self, helper: str, domain: str) -> RegistryCredentials | None:
        """Return what the helper gave for the registry, if it is still to be used."""
        with unavailable_when_lost():
            sealed = self._redis.get(keys.helper_credentials(helper, domain))
        if sealed is None:
            return None
        try:
            found = decode(RegistryCredentials, self._sealer.open(sealed))
        except (Misconfigured, ValidationError):
            return None
        return found if found.domain == domain else None

    def put(self, helper: str, credentials: RegistryCredentials, *, seconds: int) -> None:
        """Keep what the helper gave for so long; 0: not at all."""
        if seconds > 0:
            sealed = self._sealer.seal(encode(credentials))
            with unavailable_when_lost():
                self._redis.set(
                    keys.helper_credentials(helper, credentials.domain), sealed, ex=seconds
                )

    def drop(self, helper: str, domain: str) -> None:
        """Forget what the helper gave for the registry: it was refused there."""
        with unavailable_when_lost():
            self._redis.delete(keys.helper_credentials(helper, domain))
