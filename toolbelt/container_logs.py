"""The output of an app's containers, through every loss of the connection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from toolbelt.errors import Interrupted, ToolbeltError
from toolbelt.hal import Body, link
from toolbelt.screen import warn
from toolbelt.streams import events

if TYPE_CHECKING:
    from toolbelt.server import Server


def follow_containers(server: Server, app: Body, *, last: int, timestamps: bool) -> None:
    """Print each line behind its service and container, as in ``web.1 | text``.

    Begins with the ``last`` lines of each container, and returns when the app is deprovisioned.
    Raises ``Interrupted`` upon CTRL+C, and ``ToolbeltError`` for an app that never was deployed, or
    when the server stays away.
    """
    if not app["_embedded"]["services"]:
        raise ToolbeltError(f"App {app['handle']} has no containers: deploy it first")
    address = link(app, "log_events")
    try:
        for event in _events(server, address, last):
            if "line" in event:
                _print(event, timestamps=timestamps)
            elif "note" in event:
                warn(str(event["note"]))
            elif "end" in event:
                warn(str(event["end"]))
                return
    except KeyboardInterrupt as interrupt:
        raise Interrupted from interrupt


def _events(server: Server, address: str, last: int) -> Iterator[Body]:
    query = {"last": str(last)}
    return events(server, address, warn, position="position", query=query, once="line")


def _print(event: Body, *, timestamps: bool) -> None:
    text = f"{event['service']}.{event['index']} | {event['line']}"
    click.echo(f"{event['time']} {text}" if timestamps else text)
    sys.stdout.flush()
