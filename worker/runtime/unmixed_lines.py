"""Standard output and error as one stream, in which no line of one is cut by the other.

Both come in chunks that end anywhere. Put together as they come, half a secret could stand on a
line of its own, which nobody would know for one.
"""

from __future__ import annotations

from collections import defaultdict

MOST_HELD = 256 << 10
"""Bytes of a line that are held back until it ends. What is longer is shown as it comes."""


class UnmixedLines:
    """Holds back what is no whole line yet. A carriage return ends one that is drawn again."""

    def __init__(self) -> None:
        self._held: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._shown: int | None = None  # the stream whose line is too long, and partly shown

    def add(self, stream: int, chunk: bytes) -> bytes:
        """Take the next chunk of a stream; return what is to be shown now."""
        held, before = self._held[stream], len(self._held[stream])
        ended = _end(chunk)
        if ended:
            ended += before
        elif held.endswith(b"\r"):
            ended = before
        held += chunk
        if self._shown not in (None, stream):
            return self._take(stream, len(held)) if len(held) > MOST_HELD else b""
        if not ended and self._shown is None and len(held) <= MOST_HELD:
            return b""
        if not ended:
            self._shown = stream
            return self._take(stream, len(held))
        shown = self._take(stream, ended)
        if self._shown == stream:
            self._shown = None
            for other in self._held.keys() - {stream}:
                shown += self._take(other, _end(self._held[other]))
        return shown

    def rest(self) -> bytes:
        """Return what is still held back, at the end of both streams."""
        streams = sorted(self._held, key=lambda stream: (stream != self._shown, stream))
        rests = [self._held[each] for each in streams if self._held[each] or each == self._shown]
        self._held.clear()
        return b"\n".join(rests)

    def _take(self, stream: int, size: int) -> bytes:
        taken = bytes(self._held[stream][:size])
        del self._held[stream][:size]
        return taken


def _end(chunk: bytes | bytearray) -> int:
    """Return where the last line ends; a carriage return at the very end may be half of CR LF."""
    return max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, max(len(chunk) - 1, 0))) + 1
