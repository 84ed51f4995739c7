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
    return server.post(_target(server, resource, relation), body)


def create_operation(server: Server, resource: Body, body: Body) -> Body:
    """Like ``create_in`` the resource's operations, safely: no lost answer makes a second one."""
    return server.post_once(_target(server, resource, "operations"), body)


def _target(server: Server, resource: Body, relation: str) -> str:
    return link(server.get(link(resource, relation), per_page=1), "self")
