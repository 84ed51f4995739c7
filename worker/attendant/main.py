"""``enclave attendant``: shows receivers what people may see of containers.

It goes where it is called, so receivers need no way to the Engine, nor to this machine.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress

from enclave.errors import StoreUnavailable
from enclave.settings import Settings
from enclave.store import Store, open_store
from worker.attendant.line import Line
from worker.attendant.sessions import Sessions
from worker.job import open_engine

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_THREADS = 64  # each look at the Engine holds one while it lasts
_SESSIONS = 250  # at a time; who calls for more is for another attendant, or told that none comes


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
    places = asyncio.Semaphore(_SESSIONS)
    async with asyncio.TaskGroup() as calls:
        calls.create_task(sessions.abandoned.remove_forever())
        while True:
            try:
                await answer_calls(store, line, calls, places)
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


async def answer_calls(
    store: Store, line: Line, sessions: asyncio.TaskGroup, places: asyncio.Semaphore
) -> None:
    """Go wherever a receiver calls; no call is taken while all places are.

    Ends by ``StoreUnavailable`` alone; sessions go on.
    """
    async with aclosing(store.calls.heard()) as heard:
        await places.acquire()
        try:
            async for address in heard:
                session = sessions.create_task(line.dial(address))
                session.add_done_callback(lambda _: places.release())
                await places.acquire()
        finally:
            places.release()
