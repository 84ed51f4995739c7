"""The one writer of an operation's log: levels, timing, redaction, batches (SPEC 7)."""

from __future__ import annotations

import codecs
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from enclave.errors import EnclaveError, StoreUnavailable
from enclave.store.logs import Logs
from enclave.store.operations import Lease
from worker.redaction import Redactor

_MAX_LINE = 8192  # characters; a longer one is cut into several
_MAX_BATCH = 1000  # lines
_MAX_ESCAPE = 32  # characters; what a terminal obeys is never longer
_JUNK = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_AWAY_SECONDS = 60.0  # a store may be away, being restarted
_FLUSH_SECONDS = 90.0
_WAITING_LINES = 5000  # said and not yet stored; whoever says more waits
_MAX_OUTPUT = 8 << 20  # characters of commands' output in one operation's log


class OperationLog:
    """Lines go out in the background, as many at a time as came meanwhile: one fsync a batch.

    A lost lease, or a store that is away for a minute, ends the writing; ``flush`` raises it to the
    operation.
    """

    def __init__(self, logs: Logs, lease: Lease, redactor: Redactor) -> None:
        self._logs, self._lease, self._redactor = logs, lease, redactor
        self._lines: queue.Queue[str | threading.Event | None] = queue.Queue(_WAITING_LINES)
        self._output_left = _MAX_OUTPUT
        self._error: EnclaveError | None = None
        self._thread = threading.Thread(target=self._write, name="operation log", daemon=True)
        self._thread.start()

    def info(self, text: str) -> None:
        """Log what happens."""
        self._put(f"INFO: {text}")

    def warn(self, text: str) -> None:
        """Log what somebody should look at."""
        self._put(f"WARN: {text}")

    def error(self, text: str) -> None:
        """Log what failed."""
        for line in text.splitlines() or [""]:
            self._put(f"ERROR: {line}")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a long step, and how long it took once it is done."""
        started = time.monotonic()
        self.info(f"STARTING: {what}")
        yield
        self.info(f"COMPLETED (after {time.monotonic() - started:.1f}s): {what}")

    def output(self) -> CommandOutput:
        """Return a collector for one command's output."""
        return CommandOutput(self._put_output, self._redactor)

    def _put_output(self, line: str) -> None:
        """Put a line of a command's output, up to the limit of one log."""
        if self._output_left > 0:
            self._output_left -= len(line) + 1
            self._put(line)
            if self._output_left <= 0:
                self.warn(f"There was more output than {_MAX_OUTPUT >> 20} MB: the rest is cut.")

    def flush(self) -> None:
        """Return when everything said so far is stored. Raises what went wrong."""
        done = threading.Event()
        self._lines.put(done)
        in_time = done.wait(_FLUSH_SECONDS)
        if self._error is not None:
            raise self._error
        if not in_time:
            raise StoreUnavailable("the store takes too long to keep the log")

    def close(self) -> None:
        """Write what is left and end the thread; raises nothing."""
        self._lines.put(None)
        self._thread.join(_FLUSH_SECONDS)

    def _put(self, line: str) -> None:
        text = self._redactor.redact(_JUNK.sub("", line)).replace("\n", " ")
        for start in range(0, len(text) or 1, _MAX_LINE):
            self._lines.put(text[start : start + _MAX_LINE])

    def _write(self) -> None:
        while True:
            batch = [self._lines.get()]
            while len(batch) < _MAX_BATCH and not self._lines.empty():
                batch.append(self._lines.get())
            lines = [item for item in batch if isinstance(item, str)]
            if lines and self._error is None:
                self._append(lines)
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            if None in batch:
                return

    def _append(self, lines: list[str]) -> None:
        """Store lines; a store that is away is asked again for a while."""
        deadline = time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                self._logs.append(self._lease, lines)
                return
            except StoreUnavailable as error:
                if time.monotonic() > deadline:
                    self._error = error
                    return
            except EnclaveError as error:
                self._error = error
                return


class CommandOutput:
    """Turns a command's chunks of bytes into lines; a chunk may end anywhere.

    A line that grows too long is cut, but never within reach of a secret that is still coming.
    """

    def __init__(self, put: Callable[[str], None], redactor: Redactor) -> None:
        self._put = put
        self._redactor = redactor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def __call__(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._take(self._decoder.decode(chunk))

    def close(self) -> None:
        """Log what stands after the last line break."""
        self._take(self._decoder.decode(b"", final=True))
        if self._rest:
            self._put(self._rest)
            self._rest = ""

    def _take(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).replace("\r\n", "\n").split("\n")
        for line in lines:
            self._put(line)
        if len(self._rest) > _MAX_LINE + self._redactor.longest + _MAX_ESCAPE:
            self._cut()

    def _cut(self) -> None:
        """Log as many whole lines as no secret that is still coming can reach into.

        What stays is left as it came: a secret there may turn out to be part of a longer one.
        """
        escape = self._rest.rfind("\x1b", -_MAX_ESCAPE)  # it may be incomplete
        end = escape if escape >= 0 else len(self._rest)
        text = _JUNK.sub("", self._rest[:end])
        lines = (len(text) - self._redactor.longest) // _MAX_LINE
        cut = self._redactor.end_of_secret(text, lines * _MAX_LINE) if lines > 0 else 0
        if cut:
            self._put(text[:cut])
        self._rest = text[cut:] + self._rest[end:]
