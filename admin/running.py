"""The installation that runs, as commands find it."""

from __future__ import annotations

from enclave.errors import Misconfigured
from enclave.settings import settings
from enclave.store import Store, open_store


def running_store() -> Store:
    """Return the store of the installation that runs; raises ``Misconfigured`` if none does."""
    chosen = settings()
    if not chosen.redis_url and not chosen.redis_socket.exists():
        raise Misconfigured(
            f"nothing runs in {chosen.data}: start it (enclave up), or name the right directory "
            "with --data or ENCLAVE_DATA"
        )
    return open_store(chosen)
