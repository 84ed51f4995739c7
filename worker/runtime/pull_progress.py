"""From the Engine's events about layers to a line for the log now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_INTERVAL = 1.0  # seconds between two lines
_WAITING = frozenset({"Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum"})
_DOWNLOADED = frozenset({"Download complete", "Extracting"})
_PRESENT = "Already exists"
_DONE = "Pull complete"


@dataclass(slots=True)
class _Layer:
    """``total`` is 0 until its first bytes have come; a small layer may never tell."""

    current: int = 0
    total: int = 0
    downloaded: bool = False
    done: bool = False
    present: bool = False


class PullProgress:
    """Adds up the layers of one pull. ``clock`` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._layers: dict[str, _Layer] = {}
        self._told_at = clock()
        self._told_bytes = 0
        self._told = ""

    def line(self, event: Mapping[str, Any]) -> str | None:
        """Take one event of the stream; return a line when one is due and says something new."""
        self._take(event)
        now = self._clock()
        elapsed = now - self._told_at
        if elapsed < _INTERVAL or not self._layers:
            return None
        line = self._now(elapsed)
        self._told_at, self._told_bytes = now, self._bytes
        if line == self._told:
            return None
        self._told = line
        return line

    def summary(self) -> str:
        """Return the last line: what was pulled, and what was there before."""
        present = sum(layer.present for layer in self._layers.values())
        new = len(self._layers) - present
        there = f" ({present} more present already)" if present else ""
        return f"{_mb(self._bytes)} in {new} layer{'' if new == 1 else 's'} pulled{there}"

    def _take(self, event: Mapping[str, Any]) -> None:
        status, identifier = event.get("status", ""), event.get("id", "")
        if status not in _WAITING | _DOWNLOADED | {_PRESENT, _DONE}:
            return
        layer = self._layers.setdefault(identifier, _Layer())
        if status == "Downloading":
            detail = event.get("progressDetail") or {}
            layer.current = detail.get("current", layer.current)
            layer.total = max(detail.get("total", 0), 0)
        elif status not in _WAITING:
            layer.current = layer.total
            layer.downloaded = True
            layer.present = status == _PRESENT
            layer.done = status in {_PRESENT, _DONE}

    @property
    def coming(self) -> int:
        """Bytes that are still to be downloaded, of the layers that have told their size."""
        waiting = (layer for layer in self._layers.values() if not layer.downloaded)
        return sum(max(layer.total - layer.current, 0) for layer in waiting)

    @property
    def _bytes(self) -> int:
        return sum(layer.current for layer in self._layers.values())

    def _now(self, elapsed: float) -> str:
        layers = self._layers.values()
        count = f"of {len(layers)} layer{'' if len(layers) == 1 else 's'}"
        if all(layer.downloaded for layer in layers):
            unpacked = sum(layer.done for layer in layers)
            return f"{_mb(self._bytes)} downloaded, {unpacked} {count} unpacked"
        downloaded = sum(layer.downloaded for layer in layers)
        speed = max(self._bytes - self._told_bytes, 0) / elapsed
        done = f"{self._amount()} at {_mb(int(speed))}/s, {downloaded} {count}"
        return "; ".join([done, *self._running()])

    def _running(self) -> list[str]:
        """Say of each layer that is on its way how far it is; the Engine takes three at a time."""
        return [
            f"layer {number} {100 * layer.current // layer.total} %"
            for number, layer in enumerate(self._layers.values(), 1)
            if layer.total and not layer.downloaded
        ]

    def _amount(self) -> str:
        """Say "of 40.0 MB" only when every layer has told its size."""
        layers = self._layers.values()
        if all(layer.total or layer.downloaded for layer in layers):
            return f"{_mb(self._bytes)} of {_mb(sum(layer.total for layer in layers))}"
        return f"{_mb(self._bytes)} so far"


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
