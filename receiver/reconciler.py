"""Settles what nobody looks after: wake-ups that were lost, leases that ran out (DESIGN 4)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from enclave.errors import EnclaveError, StoreUnavailable
from enclave.settings import Settings
from enclave.store import Store
from receiver.leftovers import remove_deprovisioned, sweep

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = 1.0
_LONGEST_REST_SECONDS = 5.0  # while something runs or waits
_SWEEP_SECONDS = 300.0
_ENGINE_REST_SECONDS = 300


def reconcile(store: Store) -> int:
    """Wake a worker for every app that is overdue; returns how many. One too many does no harm.

    An app whose wake-up is still there waits for a worker that is free: another would only be in
    the way.
    """
    overdue = store.due.overdue()
    waiting = store.wakeups.waiting() if overdue else set()
    for app_id in overdue:
        if app_id in waiting:
            store.due.postpone(app_id)
        else:
            store.wakeups.wake(app_id)
    return len(set(overdue) - waiting)


async def reconcile_forever(store: Store, settings: Settings) -> None:
    """Look around when something is due, and sweep disk and Engine now and then, whatever fails.

    While nothing waits and nothing runs, Redis is asked nothing: it announces what comes.
    """
    next_sweep = 0.0
    while True:
        if time.monotonic() >= next_sweep:
            next_sweep = time.monotonic() + _SWEEP_SECONDS
            await logged(lambda: sweep(settings.repositories), "removed %d leftover(s) of the dead")
            await logged(
                lambda: remove_deprovisioned(store, settings),
                "removed %d repositories of deprovisioned apps",
            )
            await logged(
                lambda: store.wakeups.ask_for_sweep(rest_seconds=_ENGINE_REST_SECONDS),
                "asked for %d look at the Engine",
            )
        await logged(lambda: reconcile(store), "woke workers for %d overdue app(s)")
        await _rest(store, next_sweep - time.monotonic())


async def _rest(store: Store, longest: float) -> None:
    """Return when something may be due, but not at once; or after ``longest`` seconds."""
    await asyncio.sleep(_PERIOD_SECONDS)
    try:
        next_in = await asyncio.to_thread(store.due.next_in)
        if next_in is None:
            await store.due.wait(longest)
        else:
            await asyncio.sleep(min(next_in, _LONGEST_REST_SECONDS))
    except StoreUnavailable as error:
        logger.warning("%s", error)


async def logged(round_: Callable[[], int], words: str) -> None:
    """Do one round in a thread, say how much it did, and outlive what it raises."""
    try:
        done = await asyncio.to_thread(round_)
        if done:
            logger.info(words, done)
    except EnclaveError as error:
        logger.warning("%s", error)
    except Exception:  # the outermost loop: nobody else looks after what it looks after
        logger.exception("a round of the reconciler failed")
