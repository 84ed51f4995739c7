"""``enclave attendant``: shows receivers what people may see of containers.

It goes where it is called, so receivers need no way to the Engine, nor to this machine.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from enclave.errors import StoreUnavailable
from enclave.settings import Settings
from enclave.store import Store, open_store
from worker.attendant.line import Line
from worker.attendant.sessions import Sessions
from worker.job import open_engine

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_THREADS = 64  # each look at the Engine holds one while it lasts


def run_attendant(settings: Settings) -> None:
    """Answer calls until SIGTERM or SIGINT, which cut the lines: who follows asks again."""
    with suppress(asyncio.CancelledError):
        asyncio.run(_attend(settings, open_store(settings)))


async def _attend(settings: Settings, store: Store) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "attendant"))
    if task := asyncio.current_task():
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    sessions = await _sessions(store, settings)
    line = Line(store, sessions)
    async with asyncio.TaskGroup() as calls:
        calls.create_task(sessions.abandoned.remove_forever())
        while True:
            try:
                async for address in store.calls.heard():
                    calls.create_task(line.dial(address))
            except StoreUnavailable as error:
                logger.warning("%s", error)
                await asyncio.sleep(_PAUSE_SECONDS)


async def _sessions(store: Store, settings: Settings) -> Sessions:
    """Return what answers, as soon as the store tells whose attendant this is."""
    while True:
        try:
            installation = await asyncio.to_thread(store.installation)
        except StoreUnavailable as error:
            logger.warning("%s", error)
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return Sessions(store, open_engine(installation, settings), installation)
