"""Where an HTTP request comes from, for those who answer it: some ask too often, or guess."""

from __future__ import annotations

from typing import Protocol

ASKER = "enclave.asker"
"""The key, in an HTTP request's scope, of its ``Asker`` (ASGI)."""


class Asker(Protocol):
    """An address, and what is remembered of it."""

    def log_in(self) -> None:
        """Count a try to log in. Raises ``TooManyRequests``: it is not to be looked at."""

    def failed(self) -> None:
        """Count credentials that were wrong. Raises ``TooManyRequests``: there were too many."""


class Anybody:
    """Who asks where nobody counts, in tests and when the API is mounted elsewhere."""

    def log_in(self) -> None:
        """Let them."""

    def failed(self) -> None:
        """Forget it."""
