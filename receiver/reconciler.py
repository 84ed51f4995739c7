"""Settles what nobody looks after: wake-ups that were lost, leases that ran out (DESIGN 4)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from enclave.errors import EnclaveError
from enclave.settings import Settings
from enclave.store import Store
from receiver.leftovers import sweep

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = 3.0
_SWEEP_SECONDS = 3600.0


def reconcile(store: Store) -> int:
    """Wake a worker for every app that is overdue; returns how many. One too many does no harm."""
    overdue = store.operations.overdue()
    for app_id in overdue:
        store.operations.wake(app_id)
    return len(overdue)


async def reconcile_forever(store: Store, settings: Settings) -> None:
    """Look around every few seconds, and sweep this disk now and then, whatever fails."""
    next_sweep = 0.0
    while True:
        if time.monotonic() >= next_sweep:
            next_sweep = time.monotonic() + _SWEEP_SECONDS
            await _logged(
                lambda: sweep(settings.repositories), "removed %d leftover(s) of the dead"
            )
        await _logged(lambda: reconcile(store), "woke workers for %d overdue app(s)")
        await asyncio.sleep(_PERIOD_SECONDS)


async def _logged(round_: Callable[[], int], words: str) -> None:
    """Do one round in a thread, say how much it did, and outlive what it raises."""
    try:
        done = await asyncio.to_thread(round_)
        if done:
            logger.info(words, done)
    except EnclaveError as error:
        logger.warning("%s", error)
    except Exception:  # the outermost loop: nobody else looks after what it looks after
        logger.exception("a round of the reconciler failed")
