"""Who asks, by address: logins are counted where the request came in."""

from __future__ import annotations

from fastapi import Request

from enclave.asker import ASKER, Anybody, Asker


def asker(request: Request) -> Asker:
    """Return what is remembered of the request's address."""
    found: Asker = request.scope.get(ASKER, Anybody())
    return found


def count_login(request: Request) -> None:
    """Count a try to log in, before the password is looked at; raises ``TooManyRequests``."""
    asker(request).log_in()
