"""Operation logs: a Redis stream each, written by the lease's holder, followed by anyone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redis.exceptions import TimeoutError as RedisTimeoutError

from enclave.operation import OperationStatus
from enclave.store import keys
from enclave.store.database import Database, app_keys, unavailable_when_lost
from enclave.store.operations import Lease, require_lease

_BATCH = 500


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line, or the end. ``id`` is the stream's: ``milliseconds-sequence``, ever growing."""

    id: str
    line: str = ""
    end: OperationStatus | None = None


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
                end = fields.get("end")
                entries.append(
                    LogEntry(
                        entry_id, fields.get("line", ""), OperationStatus(end) if end else None
                    )
                )
    return entries


class Logs:
    """Append and follow. A follower blocks in Redis; it never polls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def append(self, lease: Lease, lines: Sequence[str]) -> None:
        """Append lines, in one write; raises ``LeaseLost``."""
        script_keys = [*app_keys(lease.app_id), keys.operation_log(lease.operation_id)]
        require_lease(self._database.run("append_log", script_keys, [lease.fence, *lines]))

    def follow(self, operation_id: int, *, silence: float) -> Iterator[LogEntry | None]:
        """Yield the log from its beginning to its end; None after each ``silence`` seconds.

        The last entry is the one with ``end``. Raises ``StoreUnavailable``.
        """
        last = "0"
        while True:
            entries = self._read(operation_id, last, silence)
            if not entries:
                yield None
            for entry in entries:
                yield entry
                last = entry.id
                if entry.end is not None:
                    return

    def _read(self, operation_id: int, after: str, silence: float) -> list[LogEntry]:
        stream = keys.operation_log(operation_id)
        with unavailable_when_lost():
            try:
                answer = self._redis.xread(
                    {stream: after}, count=_BATCH, block=max(1, round(silence * 1000))
                )
            except RedisTimeoutError:
                return []
        return read_entries(answer)
