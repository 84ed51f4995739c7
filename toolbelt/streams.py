"""Streams of events, one JSON object a line, taken up again after every loss of the connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from toolbelt.errors import Refused, Unavailable, Unreachable
from toolbelt.hal import Body
from toolbelt.shown_events import ShownEvents

if TYPE_CHECKING:
    from toolbelt.server import Server

_GIVE_UP_SECONDS = 600.0
_LONGEST_PAUSE_SECONDS = 5.0
_TOO_MANY = 429


def events(
    server: Server,
    address: str,
    warn: Callable[[str], None],
    *,
    position: str,
    query: Mapping[str, str],
    once: str = "",
) -> Iterator[Body]:
    """Yield every event but keep-alives, without end: who has what was wanted stops.

    Events with the field ``position`` say how far the stream is; it is taken up again ``after`` the
    last one. Events with the field ``once`` that came behind it come again then, and are not
    yielded twice. A loss is told by ``warn``. Raises ``Refused``, and ``Unreachable`` when the
    server stays away for ten minutes.
    """
    asked, shown = dict(query), ShownEvents(once)
    pause, deadline, met = 0.0, time.monotonic() + _GIVE_UP_SECONDS, False
    while True:
        try:
            with server.lines(address, **asked) as lines:
                for line in lines:
                    event = json.loads(line)
                    if pause:
                        warn("Connected again.")
                    pause, deadline, met = 0.0, time.monotonic() + _GIVE_UP_SECONDS, True
                    if position in event:
                        asked["after"] = str(event[position])
                        shown.covered()
                    if "keepalive" not in event and shown.is_new(event, line):
                        yield event
            problem = "it ended too early"
        except (Unreachable, Unavailable) as error:
            problem = str(error)
        except Refused as error:
            if error.status != _TOO_MANY or not met:  # those who were cut off have places yet
                raise
            problem = str(error)
        except ValueError:
            problem = "a line was cut off"
        shown.lost()
        if time.monotonic() > deadline:
            raise Unreachable(problem)
        if not pause:
            warn(f"The connection was lost ({problem}). Trying again...")
        pause = min(_LONGEST_PAUSE_SECONDS, pause * 2 or 0.2)
        time.sleep(pause)
