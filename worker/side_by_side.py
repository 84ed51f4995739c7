"""One thing done for each of many, several at a time: most of it is waiting for the Engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

AT_A_TIME = 8
"""Below the ten connections that Docker's SDK keeps open."""

Item = TypeVar("Item")
Done = TypeVar("Done")


def side_by_side(do: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """Return what ``do`` returns for each item, in their order.

    Once one has failed no other is begun; those under way are waited for, and then the failure of
    the first among the items is raised. So nothing goes on behind whoever undoes it.
    """
    every = list(items)
    if len(every) == 1:
        return [do(every[0])]
    name = threading.current_thread().name
    with ThreadPoolExecutor(AT_A_TIME, initializer=_call_it, initargs=(name,)) as pool:
        calls = [pool.submit(do, item) for item in every]
        for call in wait(calls, return_when=FIRST_EXCEPTION).not_done:
            call.cancel()
    return [call.result() for call in calls if not call.cancelled()]


def _call_it(name: str) -> None:
    """Give this thread the name of the one it works for, as in ``SafePoints.attempt``."""
    threading.current_thread().name = name
