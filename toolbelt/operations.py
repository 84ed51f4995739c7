"""Operations: started, and followed to the exit status of the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbelt.errors import Refused, ToolbeltError, Unreachable
from toolbelt.following import follow
from toolbelt.hal import Body, create_operation
from toolbelt.screen import TerminalOrFile, warn

if TYPE_CHECKING:
    from toolbelt.server import Server


def start_operation(server: Server, resource: Body, body: Body) -> Body:
    """Queue an operation on an app, a service or an endpoint; raises ``ToolbeltError``."""
    try:
        return create_operation(server, resource, body)
    except Unreachable as error:
        raise Unreachable(
            f"{error}\nThe {body['type']} may be queued all the same: look before you try again"
        ) from error


def run_operation(server: Server, resource: Body, body: Body, doing: str) -> int:
    """Queue an operation, say what it is ``doing``, and follow it; return the exit status."""
    operation = start_operation(server, resource, body)
    warn(f"{doing}... (operation #{operation['id']})")
    return follow_operation(server, operation)


def follow_operation(server: Server, operation: Body, *, timestamps: bool = False) -> int:
    """Show the operation's log to its end; return 0 if it succeeded, else 1."""
    if follow(server, operation, TerminalOrFile(timestamps=timestamps)):
        return 0
    warn(f"Operation #{operation['id']} failed.")
    return 1


def find_operation(server: Server, operation_id: int) -> Body:
    """Return an operation; raises ``ToolbeltError`` when there is none of that number."""
    try:
        return server.get(f"/operations/{operation_id}")
    except Refused as error:
        if error.status != 404:
            raise
        raise ToolbeltError(f"Operation #{operation_id} not found") from error
