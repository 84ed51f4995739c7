"""Shows a pusher the log of the deploy that its push set off, to the end (DESIGN 3.6)."""

from __future__ import annotations

import time

from enclave.clock import seconds_since
from enclave.errors import StoreUnavailable
from enclave.operation import Operation, OperationStatus
from enclave.store import Store
from receiver.report import Report

_STORE_SECONDS = 60.0  # a store that is away for longer is not waited for


def follow_operation(
    store: Store, operation_id: int, report: Report, *, silence: float
) -> Operation:
    """Send the operation's log as ``remote:`` lines; return the operation once it has ended.

    The receiver only watches: what happens does not depend on it, nor on the client, whose death
    shows as an ``OSError`` at the next line or keep-alive. ``silence`` is seconds between two
    keep-alives. Raises ``StoreUnavailable`` when the store stays away.
    """
    report.say(_queue_words(store, operation_id))
    shown = "0"
    away_since: float | None = None
    while True:
        try:
            for entry in store.logs.follow(operation_id, after=shown, silence=silence):
                away_since = None
                if entry is None:
                    report.keep_alive()
                elif entry.end is not None:
                    return store.operations.operation(operation_id)
                else:
                    report.say([entry.line])
                    shown = entry.id
        except StoreUnavailable:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > _STORE_SECONDS:
                raise
            report.keep_alive()


def _queue_words(store: Store, operation_id: int) -> list[str]:
    """Say what a waiting operation waits for."""
    operation = store.operations.operation(operation_id)
    if operation.status is not OperationStatus.QUEUED:
        return []
    unfinished = store.operations.unfinished(operation.request.app_id)
    ids = [each.id for each in unfinished]
    # By its place: ids are given out before the transaction that queues the operation.
    ahead = unfinished[: ids.index(operation_id)] if operation_id in ids else []
    if not ahead:
        return []
    last = ahead[-1]
    state = "waiting"
    if last.status is OperationStatus.RUNNING and last.started_at:
        state = f"running for {seconds_since(last.started_at):.0f}s"
    return [f"INFO: queued behind {last.describe()[:-1]}, {state}); position {len(ahead)}."]
