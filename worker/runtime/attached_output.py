"""What a container prints, as it comes, up to a deadline."""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterator

import requests

from worker.runtime.unmixed_lines import UnmixedLines

_HEADER = struct.Struct(">B3xI")  # stream number, three zero bytes, length: Engine API, "attach"
_CHUNK = 64 * 1024


def chunks(response: requests.Response, *, ends: float) -> Iterator[bytes]:
    """Yield standard output and error from an upgraded ``attach``, until the container ends.

    No line of one is cut by the other (``UnmixedLines``); what of a line has come is yielded at the
    latest at the end.
    The descriptor is read past the response's buffer, which is empty: the container was not
    started when the answer's headers came. ``ends`` is on the monotonic clock. Raises
    ``TimeoutError`` when it has passed, whether the container is silent or never stops printing. A
    lost Engine looks like the end here; the next question to it tells.
    """
    descriptor = response.raw.fileno()
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)

    def read(size: int) -> bytes:
        left = ends - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            raise TimeoutError
        try:
            return os.read(descriptor, size)
        except ConnectionError:
            return b""

    lines = UnmixedLines()
    try:
        for stream, chunk in payloads(read):
            if whole := lines.add(stream, chunk):
                yield whole
    except TimeoutError:
        yield lines.rest()
        raise
    yield lines.rest()


def payloads(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield stream numbers and what the frames of a multiplexed stream hold, in chunks.

    ``read`` gives ``b""`` at the end.

    A stream that ends inside a frame yields what there is of it.
    """
    while len(header := _exactly(read, _HEADER.size)) == _HEADER.size:
        stream, left = _HEADER.unpack(header)
        while left:
            chunk = read(min(left, _CHUNK))
            if not chunk:
                return
            left -= len(chunk)
            yield stream, chunk


def frames(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the frames of a multiplexed stream whole: 1 or 2 (standard error), and what it holds.

    One that is cut off is left out.
    """
    while len(header := _exactly(read, _HEADER.size)) == _HEADER.size:
        stream, size = _HEADER.unpack(header)
        if len(held := _exactly(read, size)) < size:
            return
        yield stream, held


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """Return ``size`` bytes, or fewer when the stream ends before."""
    got = b""
    while len(got) < size and (more := read(size - len(got))):
        got += more
    return got
