"""HAL as a client reads it: JSON objects that link to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolbelt.server import Server

Body = dict[str, Any]
"""A JSON object from the server, or for it."""


def link(resource: Body, relation: str) -> str:
    """Return where a resource links to. Raises ``KeyError`` when it does not."""
    return str(resource["_links"][relation]["href"])


def create_in(server: Server, resource: Body, relation: str, body: Body) -> Body:
    """Create something in a collection that a resource links to (API.md); raises as ``server``."""
    collection = server.get(link(resource, relation), per_page=1)
    return server.post(link(collection, "self"), body)
