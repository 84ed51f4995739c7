"""Keeps an operation's lease alive, and hears at once when somebody cancels it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from enclave.errors import EnclaveError, LeaseLost, OperationCancelled, StoreUnavailable
from enclave.store.operations import Lease, Operations

logger = logging.getLogger(__name__)

_RENEWALS = 3  # times within one lease
_TRUSTED = 0.8  # of a lease's time; after it, ask before touching anything
_REPEAT_SECONDS = 1.0  # between two interrupts of what does not end


class LeaseKeeper:
    """Two threads: one renews the lease and does nothing else, one blocks in Redis for a cancel.

    ``check`` is the safe point: it raises ``LeaseLost`` or ``OperationCancelled``. ``hold`` guards
    every change outside the store. Within ``interruptible`` the running command is ended as soon as
    the lease is lost or a cancel comes. A store that is away for seconds ends nothing: after it has
    come back, a lease counts as lost only one lease's time later.
    """

    def __init__(self, operations: Operations, lease: Lease, *, seconds: float) -> None:
        self._operations, self._lease, self._seconds = operations, lease, seconds
        self._renewed = _now()
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None

    @contextmanager
    def keeping(self) -> Iterator[LeaseKeeper]:
        """Keep the lease for as long as the block runs."""
        renewing = threading.Thread(target=self._keep, name="lease keeper", daemon=True)
        renewing.start()
        listening = threading.Thread(target=self._listen, name="cancel listener", daemon=True)
        listening.start()
        try:
            yield self
        finally:
            self._ended.set()
            renewing.join()
            with suppress(StoreUnavailable):
                self._operations.stop_waiting_for_control(self._lease.operation_id)
            listening.join()

    def check(self) -> None:
        """Raise if the operation may not go on."""
        if self._lost.is_set():
            raise LeaseLost("another worker has taken over this app")
        if self._cancelled.is_set():
            raise OperationCancelled("Cancelled.")

    def hold(self) -> None:
        """Return if the lease is ours at this moment; raises ``LeaseLost`` or ``StoreUnavailable``.

        A worker that was paused (SIGSTOP, a frozen machine) may wake up long after its lease ran
        out, before its own threads have noticed: then the store is asked first.
        """
        if self._lost.is_set() or _now() - self._renewed > _TRUSTED * self._seconds:
            self.renew()

    def renew(self) -> None:
        """Prolong the lease now; raises ``LeaseLost`` or ``StoreUnavailable``."""
        asked = _now()
        try:
            self._operations.renew(self._lease, seconds=self._seconds)
        except LeaseLost:
            self._lost.set()
            raise
        self._renewed = asked

    def pause(self, seconds: float) -> None:
        """Wait while the lease is kept; ends early when it is lost."""
        self._lost.wait(seconds)

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call ``interrupt`` (from another thread) if the lease is lost or a cancel comes.

        ``check`` runs before and after the block, and instead of the error that the interrupt made.
        """
        self.check()
        with self._lock:
            self._interrupt = interrupt
        try:
            yield
        except EnclaveError:
            self.check()
            raise
        finally:
            with self._lock:
                self._interrupt = None
        self.check()

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / _RENEWALS):
            try:
                self.renew()
            except LeaseLost:
                if not self._ended.is_set():
                    self._stop_what_runs()
                return
            except StoreUnavailable as error:
                logger.warning("the lease of app %s: %s", self._lease.app_id, error)

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                if self._operations.wait_for_control(
                    self._lease.operation_id, seconds=self._seconds
                ):
                    self._cancelled.set()
                    self._stop_what_runs()
                    self._ended.wait(_REPEAT_SECONDS)
            except StoreUnavailable as error:
                logger.warning("app %s cannot be cancelled: %s", self._lease.app_id, error)

    def _stop_what_runs(self) -> None:
        with self._lock:
            if self._interrupt is None:
                return
            try:
                self._interrupt()
            except EnclaveError as error:
                logger.warning("what app %s runs did not end: %s", self._lease.app_id, error)


def _now() -> float:
    """Return seconds that go on while the machine sleeps (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
