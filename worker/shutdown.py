"""A worker that is told to stop: what has begun nothing goes to another, the rest is finished."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from enclave.errors import HandedBack
from worker.safe_points import SafePoints


class Shutdown:
    """SIGTERM, from the process's signal handler to the operation it runs.

    A handler may interrupt any code of the main thread: it only puts a word in a queue that is made
    for that (``queue.SimpleQueue`` is reentrant).
    """

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def handler(self, _number: int, _frame: FrameType | None) -> None:
        """Ask for it; made for ``signal.signal``."""
        self._words.put(True)

    @contextmanager
    def stopping(self, points: SafePoints) -> Iterator[None]:
        """Within the block, stop what ``points`` belong to when asked, or if asked already."""
        ended = threading.Event()

        def listen() -> None:
            if self._words.get() and not ended.is_set():
                points.stop(HandedBack("the worker is being stopped"))

        thread = threading.Thread(target=listen, name="shutdown", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            self._words.put(False)
            thread.join()
