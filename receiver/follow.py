"""Shows the log of an operation to its end: to a pusher (DESIGN 3.6), to who visits the portal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from enclave.errors import StoreUnavailable
from enclave.operation import Operation
from enclave.store import Store
from enclave.waiting import LOOK_SECONDS, Waiting

_STORE_SECONDS = 60.0  # a store that is away for longer is not waited for


class Watcher(Protocol):
    """Who is shown a log. Whoever went away raises an ``OSError``."""

    def say(self, lines: Sequence[str], /) -> None:
        """Show lines."""
        ...

    def replace(self, line: str, /) -> None:
        """Show a line that counts until the next one."""
        ...

    def keep_alive(self) -> None:
        """Nothing is to be shown at the moment."""
        ...


def follow_operation(
    store: Store, operation_id: int, report: Watcher, *, silence: float
) -> Operation:
    """Show the operation's log line by line; return the operation once it has ended.

    The receiver only watches: what happens does not depend on it, nor on the client, whose death
    shows as an ``OSError`` at the next line or keep-alive. ``silence`` is seconds between two
    keep-alives. Raises ``StoreUnavailable`` when the store stays away.
    """
    follower = _Follower(store, operation_id, report, silence)
    away_since: float | None = None
    while True:
        try:
            follower.waits()
            if follower.shows_the_end():
                return store.operations.operation(operation_id)
        except StoreUnavailable:
            now = time.monotonic()
            if away_since is None or follower.answered_at >= away_since:
                away_since = now
            if now - away_since > _STORE_SECONDS:
                raise
            report.keep_alive()


class _Follower:
    def __init__(self, store: Store, operation_id: int, report: Watcher, silence: float) -> None:
        self._store, self._operation_id, self._report = store, operation_id, report
        self._silence = silence
        self._waiting: Waiting | None = Waiting(store, operation_id)
        self._shown = "0"
        self.answered_at = 0.0
        """When the store last answered, on the monotonic clock."""

    def waits(self) -> None:
        """Say what the operation waits for, if it does and that changed."""
        word = self._waiting.look() if self._waiting else None
        if word is None:
            self._waiting = None
            return
        if word.text and word.moved:
            self._report.say([f"INFO: {word.text}."])
        elif word.text:
            self._report.replace(f"INFO: {word.text}.")

    def shows_the_end(self) -> bool:
        """Show what comes: to the end, or for a moment as long as the operation waits."""
        silence = min(LOOK_SECONDS, self._silence) if self._waiting else self._silence
        entries = self._store.logs.follow(self._operation_id, after=self._shown, silence=silence)
        for entry in entries:
            self.answered_at = time.monotonic()
            if entry is None:
                self._report.keep_alive()
                if self._waiting:
                    return False
                if self._is_gone():
                    return True
                continue
            if entry.end is not None:
                return True
            if entry.progress:
                self._report.replace(entry.line)
            else:
                self._report.say([entry.line])
            self._shown = entry.id
        raise AssertionError("a log ends with its end")

    def _is_gone(self) -> bool:
        """Say so if the log is not kept any more: its end came while the client took nothing."""
        store, number = self._store, self._operation_id
        if not store.operations.operation(number).status.ended or store.logs.is_kept(number):
            return False
        self._report.say([f"WARN: The log of operation {number} is not kept any more."])
        return True
