"""Turns what a command prints into lines of a log, bounded in memory and in the log.

The beginning comes as it is printed. Once there is more than the log takes, the end is kept here
and logged when the command ends, behind a line that says how much was left out.
"""

from __future__ import annotations

import codecs
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from worker.plain_text import LONGEST_ESCAPE, last_drawn, plain_text
from worker.redaction import Redactor

MAX_LINE = 8192
"""Characters; a longer line is cut into several."""

_PROGRESS_SECONDS = 1.0
_LINE_COST = 32  # characters; what an empty line takes of the budget
_MOST_CHUNKS = 1024


class Sink(Protocol):
    """Where lines go: the operation's log."""

    def put_output(self, line: str) -> None:
        """Log a line of a command's output."""

    def warn(self, text: str) -> None:
        """Log what somebody should look at."""

    def progress(self, text: str) -> None:
        """Show how far it is, until the next line comes."""


@dataclass(slots=True)
class OutputBudget:
    """How many characters of output one operation's log still takes: of beginnings, and of ends."""

    head: int
    tail: int

    def take_tail(self) -> int:
        """Return how much of a command's end is kept: half of what is left, so that the last
        commands have some, too.
        """
        share = self.tail // 2
        self.tail -= share
        return share


class CommandOutput:
    """Takes chunks of bytes, which may end anywhere.

    A line that grows too long is cut, but never within reach of a secret that is still coming.
    """

    def __init__(self, sink: Sink, redactor: Redactor, budget: OutputBudget) -> None:
        self._sink, self._redactor, self._budget = sink, redactor, budget
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._tail: _Tail | None = None
        self._told = time.monotonic()

    def __call__(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._take(self._decoder.decode(chunk))

    def close(self) -> None:
        """Log what stands after the last line break, or the end that was kept."""
        self._take(self._decoder.decode(b"", final=True))
        if self._tail is not None:
            self._close_tail(self._tail)
        elif self._rest:
            self._put(self._rest)
        self._rest, self._tail = "", None

    def _take(self, text: str) -> None:
        if self._tail is not None:
            self._tail.add(text)
            self._tell(f"{self._tail.size / 1_000_000:.0f} MB of output more, its end comes last")
            return
        *lines, rest = (self._rest + text).replace("\r\n", "\n").split("\n")
        for number, line in enumerate(lines):
            if self._budget.head <= 0:
                rest = "\n".join([*lines[number:], rest])
                break
            self._put(line)
        self._rest = rest
        if self._budget.head <= 0:
            self._tail = _Tail(self._budget.take_tail())
            self._tail.add(self._rest)
            self._rest = ""
            return
        self._draw()
        if len(self._rest) > MAX_LINE + self._redactor.longest + LONGEST_ESCAPE:
            self._cut()

    def _put(self, line: str) -> None:
        line = last_drawn(line)
        self._budget.head -= len(line) + _LINE_COST
        self._sink.put_output(line)

    def _draw(self) -> None:
        """Show a line that is being drawn again and again, and forget what it showed before."""
        drawn = self._rest.rstrip("\r")
        before, again, now = drawn.rpartition("\r")
        if again:
            self._tell(now if len(drawn) < len(self._rest) else before.rpartition("\r")[2])
            self._rest = now + self._rest[len(drawn) :]

    def _tell(self, text: str) -> None:
        if time.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = time.monotonic()
            self._sink.progress(text)

    def _cut(self) -> None:
        """Log as many whole lines as no secret that is still coming can reach into.

        What stays is left as it came: a secret there may turn out to be part of a longer one.
        """
        escape = self._rest.rfind("\x1b", -LONGEST_ESCAPE)  # it may be incomplete
        end = escape if escape >= 0 else len(self._rest)
        text = plain_text(self._rest[:end])
        lines = (len(text) - self._redactor.longest) // MAX_LINE
        cut = self._redactor.end_of_secret(text, lines * MAX_LINE) if lines > 0 else 0
        if cut:
            self._put(text[:cut])
        self._rest = text[cut:] + self._rest[end:]

    def _close_tail(self, tail: _Tail) -> None:
        lines, left_out = tail.lines(self._redactor)
        if left_out:
            self._sink.warn(f"{left_out:,} characters of output are left out here.")
        for line in lines:
            self._sink.put_output(last_drawn(line))


class _Tail:
    """The last ``limit`` characters of a text of any length."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: deque[str] = deque()
        self._held = 0
        self.size = 0

    def add(self, text: str) -> None:
        """Take more, and forget what is not of the end any more."""
        self.size += len(text)
        self._chunks.append(text)
        self._held += len(text)
        if len(self._chunks) > _MOST_CHUNKS:  # a chunk may be one character
            self._chunks = deque(["".join(self._chunks)])
        while self._chunks and self._held - len(self._chunks[0]) >= self._limit:
            self._held -= len(self._chunks.popleft())

    def lines(self, redactor: Redactor) -> tuple[list[str], int]:
        """Return the last whole lines, and how many characters before them are left out.

        Of one long line that is all there is, the end comes, without half a secret before it.
        """
        held = "".join(self._chunks)
        end = held[-self._limit :] if self._limit else ""
        if len(end) < self.size:
            first, newline, rest = end.partition("\n")
            end = rest or _whole_end(first, redactor) + newline
        ended = end.endswith("\n")
        lines, cost = deque[str](), 0
        for line in reversed(end.removesuffix("\n").split("\n") if end else ()):
            cost += len(line) + _LINE_COST
            if cost > self._limit + _LINE_COST:
                break
            lines.appendleft(line)
        kept = sum(len(line) for line in lines) + max(len(lines) - 1, 0) + ended
        return list(lines), max(self.size - kept, 0)


def _whole_end(line: str, redactor: Redactor) -> str:
    """Return the end of a line whose beginning is lost, with every secret in it whole.

    One may have lost its own beginning: no longer than the longest. Behind it, another may stand
    across the place. What was drawn again after a carriage return is whole as it is.
    """
    if "\r" in line.rstrip("\r"):
        return last_drawn(line)
    text = plain_text(line)
    return text[redactor.end_of_secret(text, redactor.longest) :]
