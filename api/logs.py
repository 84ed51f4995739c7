"""Operation logs: as text behind an address that needs no header, and as a stream to follow."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.responses import PlainTextResponse, StreamingResponse

from api.call import Call, Caller, Open
from api.hal_shapes import NDJSON
from enclave.clock import iso
from enclave.errors import EnclaveError
from enclave.operation import Operation
from enclave.store.logs import LogEntry
from enclave.tokens import sign_log_url, verify_log_url
from enclave.waiting import LOOK_SECONDS, Waiting

router = APIRouter(tags=["logs"])

_LOG = logging.getLogger("enclave.api")
_KEEPALIVE = b'{"keepalive": true}\n'
_BEGINNING = "0"
_ENTRY_ID = r"^[0-9]{1,19}(-[0-9]{1,19})?$"


@router.get("/operations/{operation_id}/logs", response_class=PlainTextResponse)
def show_log_url(operation_id: int, caller: Caller) -> str:
    """Answer with the address of the log: its token opens this log alone, for five minutes."""
    operation = caller.operation(operation_id)
    token = sign_log_url(caller.store, operation.id)
    return f"{caller.links.to('operations', operation.id, 'log')}?token={token}"


@router.get("/operations/{operation_id}/log", response_class=PlainTextResponse)
def show_log(
    operation_id: int, token: str, house: Open, *, timestamps: bool = False
) -> StreamingResponse:
    """Answer with the log's text so far; with `timestamps`, each line begins with its time.

    The logs of an app's newest operations are kept; that of an older one says that it is gone.
    """
    verify_log_url(house.store, token, operation_id)
    entries = house.store.logs.so_far(operation_id)
    if house.store.operations.operation(operation_id).status.ended:
        entries = entries if house.store.logs.is_kept(operation_id) else iter([_gone(operation_id)])
    return StreamingResponse(
        _text(entries, timestamps=timestamps), media_type="text/plain; charset=utf-8"
    )


def _watched(operation_id: int, caller: Caller) -> Operation:
    return caller.operation(operation_id)  # in a thread: the stream itself is on the event loop


@router.get(
    "/operations/{operation_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {"schema": {"type": "string"}}}}},
)
async def follow_log(
    operation: Annotated[Operation, Depends(_watched)],
    caller: Caller,
    after: Annotated[str, Query(pattern=_ENTRY_ID)] = _BEGINNING,
) -> StreamingResponse:
    """Stream the log to its end, one ASCII JSON object a line, beginning behind the entry `after`.

    `{"id", "time", "line"}` for each line, `{"id", "time", "end": "succeeded"}` last (or `failed`);
    `{"id", "time", "progress"}` for a line that the next event replaces; `{"queued", "moved",
    "place"}` says what the operation waits for, and `place` (how many are ahead, the last one's id)
    is another when the queue has moved; `{"keepalive": true}` comes in times of silence. A stream
    without an end was cut off: ask again with the last `id`.
    """
    return StreamingResponse(_events(caller, operation, after), media_type=NDJSON)


def _text(entries: Iterator[LogEntry], *, timestamps: bool) -> Iterator[str]:
    for entry in entries:
        if entry.end is None and not entry.progress:
            yield f"{iso(entry.seconds)} {entry.line}\n" if timestamps else f"{entry.line}\n"


def _gone(operation_id: int) -> LogEntry:
    line = f"WARN: The log of operation {operation_id} is not kept any more."
    return LogEntry(f"{time.time_ns() // 1_000_000}-0", line)


async def _events(caller: Call, operation: Operation, after: str) -> AsyncIterator[bytes]:
    try:
        async for event in _waiting(caller, operation):
            yield event
        async for event in _logged(caller, operation, after):
            yield event
    except EnclaveError as error:  # who asks again is told why
        _LOG.warning("the log of operation %s is cut off: %s", operation.id, error)


async def _waiting(caller: Call, operation: Operation) -> AsyncIterator[bytes]:
    """Say what the operation waits for, as long as it does."""
    waiting = Waiting(caller.store, operation.id)
    while word := await to_thread.run_sync(waiting.look):
        queued = {"queued": word.text, "moved": word.moved, "place": word.place}
        yield _json(**queued) if word.text else _KEEPALIVE
        listening = caller.store.logs.listen(operation.id, after=_BEGINNING, silence=LOOK_SECONDS)
        async with aclosing(listening) as entries:
            if await anext(entries) is not None:
                return


async def _logged(caller: Call, operation: Operation, after: str) -> AsyncIterator[bytes]:
    silence, ended = caller.settings.keepalive_seconds, operation.status.ended
    if ended and not await to_thread.run_sync(caller.store.logs.is_kept, operation.id):
        gone = _gone(operation.id)
        yield _event(gone)
        yield _event(LogEntry(gone.id, end=operation.status))
        return
    listening = caller.store.logs.listen(operation.id, after=after, silence=silence)
    async with aclosing(listening) as entries:
        async for entry in entries:
            if entry is not None:
                yield _event(entry)
                after = entry.id
            elif ended:  # nothing more can come: `after` was the end already
                yield _event(LogEntry(after, end=operation.status))
                return
            else:
                yield _KEEPALIVE
                operation = await to_thread.run_sync(_again, caller, operation.id)
                ended = operation.status.ended


def _again(caller: Call, operation_id: int) -> Operation:
    """Return the operation as it is now, if the caller may still see it."""
    return caller.still().operation(operation_id)


def _event(entry: LogEntry) -> bytes:
    what = {"end": entry.end.value} if entry.end else {_kind(entry): entry.line}
    return _json(id=entry.id, time=iso(entry.seconds), **what)


def _kind(entry: LogEntry) -> str:
    return "progress" if entry.progress else "line"


def _json(**event: object) -> bytes:
    return json.dumps(event).encode("ascii") + b"\n"
