"""What the containers of an app print, followed for as long as somebody reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from api.call import Call, Caller
from api.hal_shapes import NDJSON
from enclave.app import App
from enclave.attending import FollowContainers
from enclave.errors import AttendantsAway, EnclaveError, StoreUnavailable
from enclave.log_position import LONGEST_TEXT, Position

router = APIRouter(tags=["logs"])

_KEEPALIVE = b'{"keepalive": true}\n'
_MOST_LINES = 1000
PERMITTED_SECONDS = 30.0
"""Between two looks at whether the caller may still see the app."""


def _watched(app_id: int, caller: Caller) -> App:
    return caller.app(app_id)  # in a thread: the stream itself is on the event loop


async def _lines(
    app: Annotated[App, Depends(_watched)],
    caller: Caller,
    last: Annotated[int, Query(ge=0, le=_MOST_LINES)] = 20,
    after: Annotated[str | None, Query(max_length=LONGEST_TEXT)] = None,
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Hold the line to an attendant until the answer is over."""
    if caller.containers is None:
        raise AttendantsAway("Nobody here can ask for the output of containers.")
    if after is not None:
        Position.read(after)
    request = FollowContainers(app.id, last=last, after=after or "")
    async with caller.containers.followed(request) as lines:
        yield lines


@router.get(
    "/apps/{app_id}/logs/events",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {"schema": {"type": "string"}}}}},
)
async def follow_containers(
    app_id: int, lines: Annotated[AsyncIterator[bytes], Depends(_lines)], caller: Caller
) -> StreamingResponse:
    """Stream what the app's services print, one ASCII JSON object a line, until the client leaves.

    `{"service", "index", "time", "line"}` for each line of a container; `{"position"}` says how far
    all lines before it lead; `{"note"}` is for what is not of the output; `{"keepalive": true}`
    comes in times of silence; `{"end"}`, a sentence, when there is no app to follow any more. It
    begins with the `last` lines of each container that runs already, or, for who comes again, with
    all that is behind the position `after`: what was shown behind it comes again. New containers
    join. A stream that ends without its end was cut off: ask again.
    """
    return StreamingResponse(_while_permitted(lines, caller, app_id), media_type=NDJSON)


async def _while_permitted(
    lines: AsyncIterator[bytes], caller: Call, app_id: int
) -> AsyncIterator[bytes]:
    """Yield the lines, and keep-alives in silence, until the caller may not see the app any more.

    Who asks again then is told why.
    """
    coming = asyncio.ensure_future(anext(lines, b""))
    asked = time.monotonic()
    try:
        while True:
            await asyncio.wait([coming], timeout=caller.settings.keepalive_seconds)
            if time.monotonic() > asked + PERMITTED_SECONDS:
                asked = time.monotonic()
                if not await to_thread.run_sync(_may_still, caller, app_id):
                    return
            if not coming.done():
                yield _KEEPALIVE
                continue
            if not (line := coming.result()):
                return
            yield line
            coming = asyncio.ensure_future(anext(lines, b""))
    finally:
        coming.cancel()


def _may_still(caller: Call, app_id: int) -> bool:
    try:
        caller.still().app(app_id)
    except StoreUnavailable:
        return True  # nobody can tell
    except EnclaveError:
        return False
    return True
