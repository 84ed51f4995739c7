"""Operation logs: a Redis stream each, written by the lease's holder, followed by anyone."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from redis.exceptions import TimeoutError as RedisTimeoutError

from enclave.operation import OperationStatus
from enclave.store import keys
from enclave.store.database import BLOCK_SECONDS, Database, app_keys, unavailable_when_lost
from enclave.store.leases import Lease, require_lease

_BATCH = 500


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line, or the end. ``id`` is the stream's: ``milliseconds-sequence``, ever growing.

    A line of ``progress`` counts only until the next entry, which replaces it.
    """

    id: str
    line: str = ""
    end: OperationStatus | None = None
    progress: bool = False

    @property
    def seconds(self) -> float:
        """When it was written: a Unix time."""
        return int(self.id.partition("-")[0]) / 1000


def read_entries(answer: object) -> list[LogEntry]:
    """Return the entries of an XREAD answer for one stream."""
    if not answer:
        return []
    streams = answer.values() if isinstance(answer, dict) else [pair[1] for pair in answer]  # type: ignore[attr-defined]
    entries = []
    for stream in streams:
        batches = stream if stream and isinstance(stream[0], list) else [stream]
        for batch in batches:
            for entry_id, fields in batch:
                entries.append(_entry(entry_id, fields))
    return entries


def _entry(entry_id: str, fields: dict[str, str]) -> LogEntry:
    if "end" in fields:
        return LogEntry(entry_id, end=OperationStatus(fields["end"]))
    if "progress" in fields:
        return LogEntry(entry_id, fields["progress"], progress=True)
    return LogEntry(entry_id, fields["line"])


class Logs:
    """Append and follow. A follower blocks in Redis; it never polls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def append(
        self, lease: Lease, lines: Sequence[str], *, progress: str = "", batch: str = ""
    ) -> None:
        """Append lines, in one write, and a line of progress that the next write replaces.

        ``batch`` names this write, so that it can be asked for again when its answer was lost.
        Raises ``LeaseLost``.
        """
        script_keys = [*app_keys(lease.app_id), keys.operation_log(lease.operation_id)]
        entries = [word for line in lines for word in ("line", line)]
        entries += ["progress", progress] if progress else []
        arguments = [lease.fence, batch or uuid.uuid4().hex, *entries]
        require_lease(self._database.run("append_log", script_keys, arguments))

    def is_kept(self, operation_id: int) -> bool:
        """Whether the log is still there; one of an operation that has not begun is not yet."""
        with unavailable_when_lost():
            return self._redis.exists(keys.operation_log(operation_id)) > 0

    def follow(
        self, operation_id: int, *, silence: float, after: str = "0"
    ) -> Iterator[LogEntry | None]:
        """Yield the log to its end; None after each ``silence`` seconds (five at most) without one.

        ``after`` is the id of the last entry that is known already. The last one has ``end``.
        Raises ``StoreUnavailable``.
        """
        last = after
        while True:
            entries = self._read(operation_id, last, silence)
            if not entries:
                yield None
            for entry in entries:
                yield entry
                last = entry.id
                if entry.end is not None:
                    return

    def so_far(self, operation_id: int) -> Iterator[LogEntry]:
        """Yield what the log holds now, and do not wait for more. Raises ``StoreUnavailable``."""
        stream, last = keys.operation_log(operation_id), "0"
        while True:
            with unavailable_when_lost():
                entries = read_entries(self._redis.xread({stream: last}, count=_BATCH))
            if not entries:
                return
            yield from entries
            last = entries[-1].id

    async def listen(
        self, operation_id: int, *, after: str, silence: float
    ) -> AsyncGenerator[LogEntry | None, None]:
        """Like ``follow``, for asyncio, from behind the entry ``after`` (``0``: the beginning).

        Holds a connection of its own, which ends with the iteration, however that ends.
        """
        stream, last = keys.operation_log(operation_id), after
        block = max(1, round(min(silence, BLOCK_SECONDS) * 1000))
        async with self._database.asynchronous() as client:
            while True:
                with unavailable_when_lost():
                    answer = await client.xread({stream: last}, count=_BATCH, block=block)
                entries = read_entries(answer)
                if not entries:
                    yield None
                for entry in entries:
                    yield entry
                    last = entry.id
                    if entry.end is not None:
                        return

    def _read(self, operation_id: int, after: str, silence: float) -> list[LogEntry]:
        stream = keys.operation_log(operation_id)
        block = max(1, round(min(silence, BLOCK_SECONDS) * 1000))
        with unavailable_when_lost():
            try:
                answer = self._redis.xread({stream: after}, count=_BATCH, block=block)
            except RedisTimeoutError:
                return []
        return read_entries(answer)
