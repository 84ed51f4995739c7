"""The time of day, in the one form that records and the API use; and the time that only grows."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_iso() -> str:
    """Return the time now: ISO 8601, UTC, milliseconds, ``Z``."""
    return iso(time.time())


def iso(seconds: float) -> str:
    """Return a Unix time in that form."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_since(moment: str) -> float:
    """Return how long ago ``moment`` (as ``now_iso`` writes it) was, in seconds."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def boot_seconds() -> float:
    """Return seconds that go on while the machine sleeps (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
