"""What came from each source in the last minute: failed logins, or logins at all."""

from __future__ import annotations

import time
from collections import deque

SECONDS = 60.0
_SOURCES = 10_000  # remembered; beyond it, the one that was silent longest is forgotten


class Recent:
    """At most ``most`` a minute of one source. Not locked: its owner sees to that."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: dict[str, deque[float]] = {}

    def note(self, source: str) -> None:
        """Remember that it came just now."""
        times = self._times.pop(source, None) or deque(maxlen=self._most)
        times.append(time.monotonic())
        self._times[source] = times  # the newest comes last
        if len(self._times) > _SOURCES:
            del self._times[next(iter(self._times))]

    def wait(self, source: str) -> float:
        """Return for how many seconds there have been too many; 0 when one more is welcome."""
        times = self._times.get(source)
        if times is None or len(times) < self._most:
            return 0.0
        return max(times[0] + SECONDS - time.monotonic(), 0.0)
