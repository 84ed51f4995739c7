"""Undoes a failed operation: the app serves what it served before, or is noted as untidy."""

from __future__ import annotations

import time
from dataclasses import dataclass

from enclave.errors import EnclaveError, EngineUnavailable, OperationFailed
from enclave.store import Store
from enclave.store.leases import Lease
from worker.lease_keeper import LeaseKeeper
from worker.live import Live
from worker.log import OperationLog
from worker.plan import Placement
from worker.routing import Routing
from worker.runtime import Runtime
from worker.serve import serve_only
from worker.work import BEGUN

_SECONDS = 60.0  # for an Engine that is away to come back; after it, others try again
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class RollBack:
    """What is needed to bring the release back that was live when the operation began."""

    store: Store
    runtime: Runtime
    routing: Routing
    lease: Lease
    keeper: LeaseKeeper
    placement: Placement
    live: Live
    log: OperationLog

    def after(self, failed: EnclaveError) -> bool:
        """Make the app serve what it served before, and say so, or why that could not be.

        An Engine that is away is waited for, with growing pauses, while the lease is kept. Returns
        False if it stays away, or may yet do what it never answered: then the app is to be tidied,
        which is tried until it succeeds. Raises ``LeaseLost`` or ``StoreUnavailable``.
        """
        # The failure may be the work of whoever has the lease now.
        self.keeper.patiently(self.keeper.renew)
        release = self.live.release
        if self.store.leases.point(self.lease.operation_id) != BEGUN:
            if release is not None:
                self.log.info(
                    f"Nothing was changed: release {release.number} serves on, as before."
                )
            return True
        certain = not isinstance(failed, EngineUnavailable)
        certain = certain and not self.keeper.safe_points.uncertain
        deadline, pause = time.monotonic() + _SECONDS, _FIRST_PAUSE
        while True:
            try:
                mended = self._serve()
                break
            except OperationFailed as error:
                certain = certain and not isinstance(error, EngineUnavailable)
                why = str(error)
            if time.monotonic() > deadline:
                self.log.error(f"Could not roll back: {why}")
                self.log.warn("It is tried again every few seconds until it succeeds.")
                return False
            if pause == _FIRST_PAUSE:
                self.log.warn(f"Cannot roll back yet, trying again: {why}")
            self.keeper.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if release is not None and mended:
            self.log.info(f"Rolled back: release {release.number} serves again.")
        elif release is not None:
            self.log.info(f"Release {release.number} serves on, as before.")
        return certain

    def _serve(self) -> bool:
        release, configuration = self.live.release, self.live.configuration
        return serve_only(self.runtime, self.placement, release, configuration, self.routing)
