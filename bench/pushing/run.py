"""One run of a measurement: a directory that goes with it, and an end that comes in time."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bounded_run(seconds: int) -> Iterator[Path]:
    """Yield an empty directory below /tmp; it is gone at the end.

    SIGTERM, and the end of the ``seconds`` for the whole run, end it like an error: cleaned up.
    """

    def end(number: int, _frame: object) -> None:
        raise SystemExit(f"bench: ended by {signal.Signals(number).name}")

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGALRM)}
    signal.alarm(seconds)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
            yield Path(name)
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
