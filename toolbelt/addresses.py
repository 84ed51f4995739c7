"""Where the server is: ``APTIBLE_API_ROOT_URL`` and ``APTIBLE_AUTH_ROOT_URL``."""

from __future__ import annotations

import os

API_VARIABLE = "APTIBLE_API_ROOT_URL"
AUTH_VARIABLE = "APTIBLE_AUTH_ROOT_URL"

_DEFAULT_ROOT = "http://localhost:8080"


def api_root() -> str:
    """Return the root URL of the API, without a slash at its end."""
    return (os.environ.get(API_VARIABLE) or _DEFAULT_ROOT).rstrip("/")


def auth_root() -> str:
    """Return the root URL that gives tokens; the API's own unless the variable says otherwise."""
    return (os.environ.get(AUTH_VARIABLE) or api_root()).rstrip("/")
