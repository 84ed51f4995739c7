"""Operations: followed, shown, cancelled."""

from __future__ import annotations

import click

from toolbelt.commands.options import timestamps_option
from toolbelt.hal import link
from toolbelt.operations import find_operation, follow_operation
from toolbelt.screen import warn
from toolbelt.session import open_session


@click.command()
@click.argument("operation_id", type=int)
def cancel(operation_id: int) -> None:
    """Cancel an operation that waits or runs."""
    with open_session() as server:
        operation = find_operation(server, operation_id)
        warn(f"Requesting cancellation on operation #{operation_id} ({operation['type']})...")
        operation = server.put(link(operation, "self"), {"cancelled": True})
    running = operation["status"] == "running"
    warn("It stops at its next safe point." if running else "It is cancelled.")


@click.command()
@click.argument("operation_id", type=int)
@timestamps_option
def show_logs(operation_id: int, *, timestamps: bool) -> None:
    """Print the log of an operation so far."""
    with open_session() as server:
        operation = find_operation(server, operation_id)
        address = server.get_text(link(operation, "logs")).strip()
        if timestamps:
            address += "&timestamps=true"
        click.echo(server.get_text(address), nl=False)


@click.command()
@click.argument("operation_id", type=int)
@timestamps_option
def follow_to_its_end(operation_id: int, *, timestamps: bool) -> int:
    """Follow an operation to its end; the exit status is 0 if it succeeded."""
    with open_session() as server:
        operation = find_operation(server, operation_id)
        return follow_operation(server, operation, timestamps=timestamps)


COMMANDS = {
    "operation:cancel": cancel,
    "operation:logs": show_logs,
    "operation:follow": follow_to_its_end,
}
