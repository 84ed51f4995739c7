"""The server that the environment names, with the user's token for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbelt.addresses import api_root, auth_root
from toolbelt.tokens import read_token

if TYPE_CHECKING:
    from toolbelt.server import Server


def open_session() -> Server:
    """Return the API's server; raises ``ToolbeltError`` when nobody has logged in."""
    return connect(api_root(), read_token(auth_root()))


def connect(root: str, token: str | None = None) -> Server:
    """Return a server. Its module is imported here: it takes longer than all else."""
    from toolbelt.server import Server  # noqa: PLC0415

    return Server(root, token)
