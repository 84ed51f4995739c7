"""Keeps an operation's lease alive, and hears at once when somebody cancels it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from enclave.errors import LeaseLost, OperationCancelled, StoreUnavailable
from enclave.store.operations import Lease, Operations

logger = logging.getLogger(__name__)

_RENEWALS = 3  # times within one lease


class LeaseKeeper:
    """A thread that renews the lease, and blocks in Redis for a cancel in between.

    ``check`` is the safe point: it raises ``LeaseLost`` or ``OperationCancelled``. Within
    ``interruptible`` the running command is ended as soon as either happens. A store that is away
    ends nothing: after it has come back, a lease counts as lost only one lease's time later.
    """

    def __init__(self, operations: Operations, lease: Lease, *, seconds: float) -> None:
        self._operations, self._lease, self._seconds = operations, lease, seconds
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._keep, name="lease keeper", daemon=True)

    @contextmanager
    def keeping(self) -> Iterator[LeaseKeeper]:
        """Keep the lease for as long as the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()

    def check(self) -> None:
        """Raise if the operation may not go on."""
        if self._lost.is_set():
            raise LeaseLost("another worker has taken over this app")
        if self._cancelled.is_set():
            raise OperationCancelled("Cancelled.")

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call ``interrupt`` (from another thread) if the lease is lost or a cancel comes.

        ``check`` runs before and after the block.
        """
        self.check()
        with self._lock:
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
        self.check()

    def _keep(self) -> None:
        pause = self._seconds / _RENEWALS
        while not self._ended.is_set() and not self._lost.is_set():
            try:
                self._operations.renew(self._lease, seconds=self._seconds)
                if self._operations.wait_for_control(self._lease.operation_id, seconds=pause):
                    self._cancelled.set()
                    self._stop_what_runs()
            except LeaseLost:
                if not self._ended.is_set():
                    self._lost.set()
                    self._stop_what_runs()
            except StoreUnavailable as error:
                logger.warning("the lease of app %s: %s", self._lease.app_id, error)

    def _stop_what_runs(self) -> None:
        with self._lock:
            if self._interrupt is not None:
                self._interrupt()
