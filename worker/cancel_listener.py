"""Hears of a cancel while an operation runs: blocked in Redis, never polling."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from enclave.errors import OperationCancelled, StoreUnavailable
from enclave.store.operations import Operations
from worker.safe_points import SafePoints

logger = logging.getLogger(__name__)

_BLOCK_SECONDS = 5.0
_PAUSE_SECONDS = 1.0


class CancelListener:
    """One thread for one operation."""

    def __init__(self, operations: Operations, operation_id: int, safe_points: SafePoints) -> None:
        self._operations, self._operation_id = operations, operation_id
        self._safe_points = safe_points
        self._ended = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Stop the operation with ``OperationCancelled`` if a cancel comes within the block."""
        thread = threading.Thread(target=self._listen, name="cancel listener", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            with suppress(StoreUnavailable):
                self._operations.stop_waiting_for_control(self._operation_id)
            thread.join()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                if self._operations.wait_for_control(self._operation_id, seconds=_BLOCK_SECONDS):
                    self._safe_points.stop(OperationCancelled("Cancelled."))
                    return
            except StoreUnavailable as error:
                logger.warning("operation %s cannot be cancelled: %s", self._operation_id, error)
                self._ended.wait(_PAUSE_SECONDS)  # a store that can only be read refuses at once
