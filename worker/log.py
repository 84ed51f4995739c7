"""The one writer of an operation's log: levels, timing, redaction, batches (SPEC 7)."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from enclave.errors import EnclaveError, StoreUnavailable
from enclave.store.leases import Lease
from enclave.store.logs import Logs
from worker.command_output import MAX_LINE, CommandOutput, OutputBudget
from worker.lease_keeper import STORE_SECONDS
from worker.plain_text import plain_text
from worker.redaction import Redactor

_MAX_BATCH = 1000  # lines
_AWAY_SECONDS = STORE_SECONDS
_AGAIN_SECONDS = 0.2
_FLUSH_SECONDS = STORE_SECONDS + 120.0  # the client's own last try may take so long
_WAITING_LINES = 5000  # said and not yet stored; whoever says more waits


@dataclass(frozen=True, slots=True)
class _Progress:
    text: str


@dataclass(slots=True)
class Step:
    """A step of an operation, and its time: seconds on the monotonic clock."""

    what: str
    began: float
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took, or takes."""
        return (self.ended or time.monotonic()) - self.began


class OperationLog:
    """Lines go out in the background, as many at a time as came meanwhile: one fsync a batch.

    A lost lease, or a store that is away for five minutes, ends the writing; ``flush`` raises it
    to the operation. ``output_limit`` is how many characters of commands' output the log takes:
    half of them for beginnings, half for ends.
    """

    def __init__(self, logs: Logs, lease: Lease, redactor: Redactor, *, output_limit: int) -> None:
        self._logs, self._lease, self._redactor = logs, lease, redactor
        self._lines: queue.Queue[str | _Progress | threading.Event | None] = queue.Queue(
            _WAITING_LINES
        )
        self._budget = OutputBudget(output_limit // 2, output_limit // 2)
        self._steps: list[Step] = []
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
        for line in text.split("\n"):
            self._put(f"ERROR: {line}")

    def progress(self, text: str) -> None:
        """Show how far a step is, until the next line comes. It is not kept."""
        self._lines.put(_Progress(self.clean(text)[:MAX_LINE]))

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a long step, and how long it took once it is done."""
        step = Step(what, time.monotonic())
        self._steps.append(step)
        self.info(f"STARTING: {what}")
        try:
            yield
        finally:
            step.ended = time.monotonic()
        self.info(f"COMPLETED (after {step.seconds:.1f}s): {what}")

    def slowest_step(self) -> Step | None:
        """Return the step that took, or takes, the longest so far."""
        return max(list(self._steps), key=lambda step: step.seconds, default=None)

    def output(self) -> CommandOutput:
        """Return a collector for one command's output."""
        return CommandOutput(self, self._redactor, self._budget)

    def put_output(self, line: str) -> None:
        """Log a line of a command's output, as it stands."""
        self._put(line)

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
        text = self.clean(line)
        for start in range(0, len(text) or 1, MAX_LINE):
            self._lines.put(text[start : start + MAX_LINE])

    def clean(self, line: str) -> str:
        """Return the line as the log shows it: plain, on one line, every secret masked."""
        return self._redactor.redact(plain_text(line)).replace("\n", " ")

    def _write(self) -> None:
        while True:
            batch = [self._lines.get()]
            while len(batch) < _MAX_BATCH and not self._lines.empty():
                batch.append(self._lines.get())
            if self._error is None:
                self._append(batch)
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            if None in batch:
                return

    def _append(self, batch: list[str | _Progress | threading.Event | None]) -> None:
        """Store a batch; a store that is away is asked again for a while.

        Of its progress only the last counts, and only if no line came after it.
        """
        said = [item for item in batch if isinstance(item, str | _Progress)]
        if not said:
            return
        lines = [item for item in said if isinstance(item, str)]
        progress = said[-1].text if isinstance(said[-1], _Progress) else ""
        if not lines and not progress:
            return
        name, deadline = uuid.uuid4().hex, time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                self._logs.append(self._lease, lines, progress=progress, batch=name)
                return
            except StoreUnavailable as error:
                if time.monotonic() > deadline:
                    self._error = error
                    return
                time.sleep(_AGAIN_SECONDS)  # one that can only be read refuses at once
            except EnclaveError as error:
                self._error = error
                return
