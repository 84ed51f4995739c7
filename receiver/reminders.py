"""Wakes a courier for each webhook that is overdue: to try again, or because a job was lost."""

from __future__ import annotations

import asyncio
import logging

from enclave.errors import StoreUnavailable
from enclave.store import Store
from receiver.reconciler import logged

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = 1.0
_LONGEST_REST_SECONDS = 300.0


def remind(store: Store) -> int:
    """Wake a courier for every webhook that is overdue; returns how many. One too many is harmless.

    Where a job still waits, all couriers are busy: another would only be in the way.
    """
    overdue = store.deliveries.due.overdue()
    waiting = store.deliveries.waiting() if overdue else set()
    for webhook_id in overdue:
        if webhook_id in waiting:
            store.deliveries.due.postpone(webhook_id)
        else:
            store.deliveries.wake(webhook_id)
    return len(set(overdue) - waiting)


async def remind_forever(store: Store) -> None:
    """Look around whenever a delivery is due; Redis is asked nothing until then."""
    while True:
        await logged(lambda: remind(store), "woke couriers for %d overdue webhook(s)")
        await asyncio.sleep(_PERIOD_SECONDS)
        try:
            await store.deliveries.due.wait_for_first(_LONGEST_REST_SECONDS)
        except StoreUnavailable as error:
            logger.warning("%s", error)
