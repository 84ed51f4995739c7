"""A terminal in a container of an app."""

from __future__ import annotations

import shlex

import click

from toolbelt.commands.options import app_options
from toolbelt.hal import create_in
from toolbelt.portal import is_terminal, visit
from toolbelt.selection import Selection, find_app
from toolbelt.session import open_session

_SHELL = "/bin/sh"


@click.command(context_settings={"ignore_unknown_options": True})
@app_options
@click.option("--force-tty", is_flag=True, help="A terminal, even if there is none here.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(selection: Selection, *, force_tty: bool, command: tuple[str, ...]) -> int:
    """Run COMMAND in a new container of the app's live release; a shell unless one is given.

    It has the app's image and configuration, and ends with its command. Options of COMMAND go
    behind --. The exit status is the command's.
    """
    terminal = force_tty or is_terminal()
    with open_session() as server:
        app = find_app(server, selection)
        body = {
            "type": "execute",
            "command": shlex.join(command) if command else _SHELL,
            "interactive": terminal,
            "status": "succeeded",
        }
        operation = create_in(server, app, "operations", body)
        return visit(server, operation, options=["-tt" if terminal else "-T"])


COMMANDS = {"ssh": ssh}
