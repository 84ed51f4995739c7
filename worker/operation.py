"""Runs the next operation of an app: takes the lease, keeps it, and sees to the end."""

from __future__ import annotations

import logging
import uuid

from pydantic import ValidationError

from enclave.checkpoints import reached
from enclave.errors import EnclaveError, LeaseLost, StoreUnavailable
from enclave.operation import OperationStatus
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from worker.lease_keeper import LeaseKeeper, now
from worker.operation_run import OperationRun
from worker.runtime import Runtime
from worker.safe_points import SafePoints
from worker.shutdown import Shutdown
from worker.tidying import tidy

logger = logging.getLogger(__name__)


def run_next_operation(
    store: Store,
    runtime: Runtime,
    settings: Settings,
    app_id: int,
    shutdown: Shutdown | None = None,
) -> bool:
    """Run the head of the app's queue to its end. Returns False when there was nothing to do.

    Whatever the operation does, it ends; only a lost lease or store leaves it to whoever takes the
    lease next, and a ``shutdown`` before it has begun anything.
    """
    reached("queued")
    holder = uuid.uuid4().hex
    asked = now()
    lease = store.leases.take(app_id, holder=holder, seconds=settings.lease_seconds)
    if lease is None:
        return False
    points = SafePoints()
    keeper = LeaseKeeper(store.leases, lease, points, seconds=settings.lease_seconds, asked=asked)
    with keeper.keeping():
        reached("lease taken")
        if lease.tidies:
            try:
                tidy(store, runtime, settings, lease, keeper)
            except LeaseLost:
                logger.warning("lost the lease of app %s while tidying", app_id)
                store.leases.untidy(app_id)  # the Engine may have done something for us too late
            return True
        try:
            run = OperationRun(store, runtime, settings, lease, keeper)
        except (EnclaveError, ValidationError) as error:
            if isinstance(error, LeaseLost | StoreUnavailable):
                raise
            _end_unreadable(store, lease, error)
            return True
        with (shutdown or Shutdown()).stopping(points):
            run.run()
    return True


def _end_unreadable(store: Store, lease: Lease, error: Exception) -> None:
    """End an operation whose record or secrets cannot be read: it could never be run."""
    reference = uuid.uuid4().hex[:12]
    logger.error("operation %s: %s (%s)", lease.operation_id, type(error).__name__, reference)
    message = f"Its records cannot be read ({reference}): tell the server's operator."
    store.leases.finish(lease, Ending(OperationStatus.FAILED, message))
