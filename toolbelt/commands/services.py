"""Services: listed, and what is set for one."""

from __future__ import annotations

import click

from toolbelt.commands.options import app_options
from toolbelt.errors import ToolbeltError
from toolbelt.hal import link
from toolbelt.listing import list_services
from toolbelt.screen import echo, warn
from toolbelt.selection import Selection, find_app, find_service
from toolbelt.session import open_session

_DEFAULT = "default"


@click.command()
@app_options
def services(selection: Selection) -> None:
    """List the services of an app."""
    with open_session() as server:
        found = find_app(server, selection)
    echo(list_services(found))


@click.command()
@app_options
@click.argument("service")
@click.option(
    "--stop-timeout",
    metavar="SECONDS",
    help='What its containers have to stop, 0 to 900; "default" for the server\'s own.',
)
def settings(selection: Selection, *, service: str, stop_timeout: str | None) -> None:
    """Change what is set for a service; it counts from its next containers on."""
    if stop_timeout is None:
        raise ToolbeltError("Provide --stop-timeout")
    seconds = _seconds(stop_timeout)
    with open_session() as server:
        found = find_service(server, selection, service)
        server.put(link(found, "self"), {"stop_timeout": seconds})
    warn(f"Set for {service}. It counts from the next deploy or restart on.")


def _seconds(given: str) -> int | None:
    if given == _DEFAULT:
        return None
    if not (given.isascii() and given.isdigit()):
        raise ToolbeltError(f"--stop-timeout is a number of seconds, or {_DEFAULT}: not {given}")
    return int(given)


COMMANDS = {"services": services, "services:settings": settings}
