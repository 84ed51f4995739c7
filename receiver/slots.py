"""Places for work that costs something: packs being indexed, packs being made.

A client that is slow holds its place for long and uses it little. So when all are taken, whoever
moves fewer bytes a second than is asked of it makes room for who comes; as long as there is room,
nobody is hurried. One user has a share of the places, so that no one has them all.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from enclave.errors import TooManyRequests
from receiver.wire import Wire

_WAIT_SECONDS = 60.0
_LEAVING_SECONDS = 1.0  # for one that was asked to go, before another is
_LOOK_SECONDS = 0.1  # a client turns slow without telling anyone


@dataclass(frozen=True, slots=True, eq=False)
class _Holder:
    user_id: int
    wire: Wire
    since: float  # monotonic


class Slots:
    """``most`` places, ``share`` of them for one user; ``slow`` is in bytes a second."""

    def __init__(self, most: int, *, share: int, slow: float, grace: float = 2.0) -> None:
        """``grace``: seconds before which nobody is slow."""
        self._most, self._share, self._slow, self._grace = most, share, slow, grace
        self._holders: list[_Holder] = []
        self._broke_off_at = -math.inf
        self._changed = threading.Condition()

    @contextmanager
    def taken(
        self,
        user_id: int,
        wire: Wire,
        *,
        silence: Callable[[], None] | None = None,
        every: float = math.inf,
    ) -> Iterator[None]:
        """Hold a place for as long as the block runs.

        ``silence`` (if any) is called after each ``every`` seconds of waiting. Raises
        ``TooManyRequests`` when none got free within a minute.
        """
        holder = self._wait(user_id, wire, silence, every)
        try:
            yield
        finally:
            with self._changed:
                self._holders.remove(holder)
                self._changed.notify_all()

    def _wait(
        self, user_id: int, wire: Wire, silence: Callable[[], None] | None, every: float
    ) -> _Holder:
        began = spoke = time.monotonic()
        while True:
            with self._changed:
                rivals = self._rivals(user_id)
                if rivals is None:
                    holder = _Holder(user_id, wire, time.monotonic())
                    self._holders.append(holder)
                    return holder
                self._break_off_slowest(rivals)
                self._changed.wait(_LOOK_SECONDS)
            now = time.monotonic()
            if now - began > _WAIT_SECONDS:
                raise TooManyRequests("too many at a time: try again in a minute")
            if silence is not None and now - spoke > every:
                silence()
                spoke = now

    def _rivals(self, user_id: int) -> list[_Holder] | None:
        """Return those one of whom must go first, None when there is room."""
        own = [holder for holder in self._holders if holder.user_id == user_id]
        if len(own) >= self._share:
            return own
        return self._holders if len(self._holders) >= self._most else None

    def _break_off_slowest(self, rivals: list[_Holder]) -> None:
        """Ask the slowest to go, if it is slow and nobody was asked already."""
        now = time.monotonic()
        if now - self._broke_off_at < _LEAVING_SECONDS:
            return
        slow = [
            holder
            for holder in rivals
            if now - holder.since > self._grace
            and holder.wire.waits_for_client
            and not holder.wire.broken_off
        ]
        slowest = min(slow, key=lambda holder: holder.wire.pace, default=None)
        if slowest is not None and slowest.wire.pace < self._slow:
            self._broke_off_at = now
            slowest.wire.break_off(
                f"less than {self._slow:.0f} bytes a second, while others waited: "
                "try again over a faster line"
            )
