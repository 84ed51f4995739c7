"""Keeps an operation's lease alive, and notices at once when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from enclave.errors import LeaseLost, StoreUnavailable
from enclave.store.leases import Lease, Leases
from worker.safe_points import SafePoints

logger = logging.getLogger(__name__)

_RENEWALS = 3  # times within one lease
_TRUSTED = 0.8  # of a lease's time; after it, ask before touching anything
_PAUSE = 1.0  # before asking a store again that is away

STORE_SECONDS = 300.0
"""For a store that is away, full or read-only to come back; until then an operation waits."""


class LeaseKeeper:
    """A thread that renews the lease and does nothing else; ``hold`` guards what is outside Redis.

    ``asked`` is when (``now``) the lease was asked for: the answer may have taken long.

    A store that is away for a while ends nothing: after it has come back, a lease counts as lost
    only half a lease's time later.
    """

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        safe_points: SafePoints,
        *,
        seconds: float,
        asked: float | None = None,
    ) -> None:
        self._leases, self._lease, self._seconds = leases, lease, seconds
        self.safe_points = safe_points
        self._renewed = now() if asked is None else asked
        self._ended = threading.Event()
        self._lost = threading.Event()

    @contextmanager
    def keeping(self) -> Iterator[LeaseKeeper]:
        """Keep the lease for as long as the block runs."""
        renewing = threading.Thread(target=self._keep, name="lease keeper", daemon=True)
        renewing.start()
        try:
            yield self
        finally:
            self._ended.set()
            renewing.join()

    def hold(self) -> None:
        """Return if the lease is ours at this moment; raises ``LeaseLost`` or ``StoreUnavailable``.

        A worker that was paused (SIGSTOP, a frozen machine) may wake up long after its lease ran
        out, before its own threads have noticed: then the store is asked first, and waited for.
        """
        if self._lost.is_set() or now() - self._renewed > _TRUSTED * self._seconds:
            self.patiently(self.renew)

    def check(self) -> None:
        """Raise ``LeaseLost`` if the lease is known to be lost."""
        if self._lost.is_set():
            raise LeaseLost("another worker has taken over this app")

    def renew(self) -> None:
        """Prolong the lease now; raises ``LeaseLost`` or ``StoreUnavailable``."""
        asked = now()
        try:
            self._leases.renew(self._lease, seconds=self._seconds)
        except LeaseLost as error:
            self._lost.set()
            self.safe_points.stop(error)
            raise
        self._renewed = asked

    def patiently(self, write: Callable[[], None]) -> None:
        """Write to a store that may be away, full or read-only for a while.

        Raises ``StoreUnavailable`` after ``STORE_SECONDS`` of that, and what ``write`` raises.
        """
        deadline = time.monotonic() + STORE_SECONDS
        while True:
            try:
                write()
                return
            except StoreUnavailable as error:
                if self._lost.is_set() or time.monotonic() > deadline:
                    raise
                logger.warning("app %s waits for its store: %s", self._lease.app_id, error)
                self.pause(_PAUSE)

    def pause(self, seconds: float) -> None:
        """Wait while the lease is kept; ends early when it is lost."""
        self._lost.wait(seconds)

    def _keep(self) -> None:
        rest = self._seconds / _RENEWALS
        while not self._ended.wait(rest):
            rest = self._seconds / _RENEWALS
            try:
                self.renew()
            except LeaseLost:
                return
            except StoreUnavailable as error:
                logger.warning("the lease of app %s: %s", self._lease.app_id, error)
                rest = min(rest, _PAUSE)  # once it is back, others doubt the lease


def now() -> float:
    """Return seconds that go on while the machine sleeps (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
