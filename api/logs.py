"""Operation logs: as text behind an address that needs no header, and as a stream to follow."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.responses import PlainTextResponse, StreamingResponse

from api.call import Call, Caller, Open
from enclave.clock import iso
from enclave.errors import StoreUnavailable
from enclave.operation import Operation
from enclave.store.logs import LogEntry
from enclave.tokens import sign_log_url, verify_log_url

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
def show_log(operation_id: int, token: str, house: Open) -> StreamingResponse:
    """Answer with the log's text so far."""
    verify_log_url(house.store, token, operation_id)
    entries = house.store.logs.so_far(operation_id)
    return StreamingResponse(_text(entries), media_type="text/plain; charset=utf-8")


def _watched(operation_id: int, caller: Caller) -> Operation:
    return caller.operation(operation_id)  # in a thread: the stream itself is on the event loop


@router.get("/operations/{operation_id}/events")
async def follow_log(
    operation: Annotated[Operation, Depends(_watched)],
    caller: Caller,
    after: Annotated[str, Query(pattern=_ENTRY_ID)] = _BEGINNING,
) -> StreamingResponse:
    """Stream the log to its end, one ASCII JSON object a line, beginning behind the entry `after`.

    `{"id", "time", "line"}` for each line, `{"id", "time", "end": "succeeded"}` last (or `failed`),
    `{"keepalive": true}` in times of silence. A stream without an end was cut off: ask again with
    the last `id`.
    """
    return StreamingResponse(_events(caller, operation, after), media_type="application/x-ndjson")


def _text(entries: Iterator[LogEntry]) -> Iterator[str]:
    for entry in entries:
        if entry.end is None:
            yield f"{entry.line}\n"


async def _events(caller: Call, operation: Operation, after: str) -> AsyncIterator[bytes]:
    silence, ended = caller.settings.keepalive_seconds, operation.status.ended
    listening = caller.store.logs.listen(operation.id, after=after, silence=silence)
    try:
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
                    now = caller.store.operations.operation
                    operation = await to_thread.run_sync(now, operation.id)
                    ended = operation.status.ended
    except StoreUnavailable as error:
        _LOG.warning("the log of operation %s is cut off: %s", operation.id, error)


def _event(entry: LogEntry) -> bytes:
    milliseconds = int(entry.id.partition("-")[0])
    event = {"id": entry.id, "time": iso(milliseconds / 1000)}
    event |= {"line": entry.line} if entry.end is None else {"end": entry.end.value}
    return json.dumps(event).encode("ascii") + b"\n"
