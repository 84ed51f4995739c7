"""Following an operation: its log as it is written, through every loss of the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from toolbelt.errors import Detached, Refused, ToolbeltError, Unreachable
from toolbelt.hal import Body, link
from toolbelt.streams import events

if TYPE_CHECKING:
    from toolbelt.server import Server

_BEGINNING = "0"


class Screen(Protocol):
    """Where a followed log is shown."""

    def line(self, text: str, time: str) -> None:
        """Show a line; ``time`` is when it was written (ISO 8601)."""

    def progress(self, text: str) -> None:
        """Show how far it is, until the next line comes."""

    def warn(self, text: str) -> None:
        """Say something that is not of the log."""


def follow(server: Server, operation: Body, screen: Screen) -> bool:
    """Show every line of the log, once and in order; return whether the operation succeeded.

    A lost connection is taken up again behind the last line, and says so. Raises
    ``Detached`` upon CTRL+C, and ``ToolbeltError`` when the server stays away for ten minutes.
    """
    number = int(operation["id"])
    try:
        for event in _events(server, link(operation, "events"), screen.warn):
            if "end" in event:
                return bool(event["end"] == "succeeded")
            _show(event, screen)
    except KeyboardInterrupt as interrupt:
        raise Detached(number) from interrupt
    except (Unreachable, Refused) as error:
        raise ToolbeltError(
            f"{error}\nOperation #{number} goes on without you: aptible operation:follow {number}"
        ) from error
    raise AssertionError("the events of an operation end with an end")


def _show(event: Body, screen: Screen) -> None:
    if "line" in event:
        screen.line(str(event["line"]), str(event["time"]))
    elif event.get("moved"):
        screen.line(f"INFO: {event['queued']}.", "")
    else:
        screen.progress(str(event.get("queued") or event.get("progress", "")))


def _events(server: Server, address: str, warn: Callable[[str], None]) -> Iterator[Body]:
    place: object = None
    for event in events(server, address, warn, position="id", query={"after": _BEGINNING}):
        if "queued" in event:  # a new connection's first word is new to us or not
            moved = bool(event.get("moved")) and event.get("place", ()) != place
            place = event.get("place")
            yield {**event, "moved": moved}
        elif "id" in event:
            yield event
