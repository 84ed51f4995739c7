"""HAL as a client reads it: JSON objects that link to others."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]
"""A JSON object from the server, or for it."""


def link(resource: Body, relation: str) -> str:
    """Return where a resource links to. Raises ``KeyError`` when it does not."""
    return str(resource["_links"][relation]["href"])
