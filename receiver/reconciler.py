"""Settles what nobody looks after: wake-ups that were lost, leases that ran out (DESIGN 4)."""

from __future__ import annotations

import asyncio
import logging

from enclave.errors import EnclaveError
from enclave.settings import Settings
from enclave.store import Store
from receiver.quarantine import sweep

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = 3.0


def reconcile(store: Store) -> int:
    """Wake a worker for every app that is overdue; returns how many. One too many does no harm."""
    overdue = store.operations.overdue()
    for app_id in overdue:
        store.operations.wake(app_id)
    return len(overdue)


async def reconcile_forever(store: Store, settings: Settings) -> None:
    """Sweep what killed receivers left on this disk, then look around every few seconds."""
    swept = await asyncio.to_thread(sweep, settings.repositories)
    if swept:
        logger.info("removed %d quarantine(s) of dead pushes", swept)
    while True:
        try:
            woken = await asyncio.to_thread(reconcile, store)
            if woken:
                logger.info("woke workers for %d overdue app(s)", woken)
        except EnclaveError as error:
            logger.warning("%s", error)
        await asyncio.sleep(_PERIOD_SECONDS)
