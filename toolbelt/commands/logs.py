"""What containers print."""

from __future__ import annotations

import click

from toolbelt.commands.options import app_options, timestamps_option
from toolbelt.container_logs import follow_containers
from toolbelt.selection import Selection, find_app
from toolbelt.session import open_session


@click.command()
@app_options
@click.option(
    "--tail",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    help="Begin with so many lines of each container.",
)
@timestamps_option
def logs(selection: Selection, *, tail: int, timestamps: bool) -> None:
    """Follow what all containers of an app print, until CTRL+C.

    Each line begins with the service and the number of the container. Those of a new release join
    in.
    """
    with open_session() as server:
        follow_containers(server, find_app(server, selection), last=tail, timestamps=timestamps)


COMMANDS = {"logs": logs}
