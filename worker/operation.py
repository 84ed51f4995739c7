"""Runs the next operation of an app: lease, recovery, the deploy, the one end."""

from __future__ import annotations

import logging
import time
import uuid

from pydantic import ValidationError

from enclave.app import AppSecrets
from enclave.codec import decode
from enclave.errors import (
    EnclaveError,
    LeaseLost,
    OperationCancelled,
    OperationFailed,
    StoreUnavailable,
)
from enclave.operation import Operation, OperationStatus
from enclave.release import Release
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.operations import Ending, Lease
from worker.deploy import BEGUN, Deploy
from worker.lease_keeper import LeaseKeeper
from worker.log import OperationLog
from worker.plan import Placement
from worker.redaction import Redactor, secrets_of
from worker.runtime import Container, Runtime
from worker.runtime.guarded import GuardedRuntime
from worker.serve import remove_all, serve_only

logger = logging.getLogger(__name__)

_MOST_TAKES = 3  # workers that may vanish before an operation has begun
_ROLL_BACK_SECONDS = 300.0  # for an Engine that is away to come back
_LONGEST_PAUSE = 5.0


def run_next_operation(store: Store, runtime: Runtime, settings: Settings, app_id: int) -> bool:
    """Run the head of the app's queue to its end. Returns False when there was nothing to do.

    Whatever the operation does, it ends; only a lost lease or store leaves it to whoever takes the
    lease next.
    """
    holder = uuid.uuid4().hex
    lease = store.operations.take(app_id, holder=holder, seconds=settings.lease_seconds)
    if lease is None:
        return False
    keeper = LeaseKeeper(store.operations, lease, seconds=settings.lease_seconds)
    with keeper.keeping():
        try:
            run = OperationRun(store, runtime, settings, lease, keeper)
        except (EnclaveError, ValidationError) as error:
            if isinstance(error, LeaseLost | StoreUnavailable):
                raise
            _end_unreadable(store, lease, error)
            return True
        run.run()
    return True


def _end_unreadable(store: Store, lease: Lease, error: Exception) -> None:
    """End an operation whose record or secrets cannot be read: it could never be run."""
    reference = uuid.uuid4().hex[:12]
    logger.error("operation %s: %s (%s)", lease.operation_id, type(error).__name__, reference)
    message = f"Its records cannot be read ({reference}): tell the server's operator."
    store.operations.finish(lease, Ending(OperationStatus.FAILED, message))


class OperationRun:
    """One operation under one lease. Its own containers carry the lease's number."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        settings: Settings,
        lease: Lease,
        keeper: LeaseKeeper,
    ) -> None:
        self._store, self._settings = store, settings
        self._unguarded = runtime
        self._runtime = GuardedRuntime(runtime, keeper.hold)
        self._lease, self._keeper = lease, keeper
        self._operation: Operation = store.operations.operation(lease.operation_id)
        self._changes = store.operations.changes(lease.operation_id)
        app = store.apps.app(lease.app_id)
        self._secrets: AppSecrets = store.apps.secrets(app.id)
        self._placement = Placement(store.installation(), app)
        self._live = self._read_live()
        hidden = secrets_of(self._secrets, [self._changes.credentials])
        hidden += secrets_of(AppSecrets(self._changes.environment))
        self._redactor = Redactor(hidden)
        self._log = OperationLog(store.logs, lease, self._redactor)
        self._replaced: list[Container] = []

    def run(self) -> None:
        """Run the operation and record its end; then remove what it replaced."""
        try:
            ending = self._attempt()
            self._log.flush()
            self._store.operations.finish(self._lease, ending)
        except LeaseLost:
            logger.warning("lost the lease of %s", self._operation.describe())
            self._remove_own()
            return
        finally:
            self._log.close()
        if ending.status is OperationStatus.SUCCEEDED:
            self._remove_replaced()

    def _attempt(self) -> Ending:
        """Do the work; on failure undo it. Returns the ending."""
        try:
            self._recover()
            if self._operation.cancelled:
                raise OperationCancelled("Cancelled.")
            deploy = self._deploy()
            ending = deploy.run()
            self._replaced = deploy.replaced
            return ending
        except (LeaseLost, StoreUnavailable):
            raise
        except EnclaveError as error:
            failed = error
        except Exception:  # the outermost frame of an operation
            reference = uuid.uuid4().hex[:12]
            logger.exception("%s failed: %s", self._operation.describe(), reference)
            failed = OperationFailed(f"Internal error {reference}: tell the server's operator.")
        sentence, *details = str(failed).splitlines()
        for detail in details:  # a container's last lines, say
            self._log.info(detail)
        self._roll_back()
        cancelled = isinstance(failed, OperationCancelled)
        return Ending(OperationStatus.FAILED, self._redactor.redact(sentence), cancelled=cancelled)

    def _recover(self) -> None:
        """Settle what a vanished worker left: run again what had not begun, fail the rest."""
        if not self._lease.recovers:
            return
        self._log.warn("The worker that ran this operation vanished.")
        if self._store.operations.point(self._operation.id) == BEGUN:
            raise OperationFailed("Its worker vanished in mid-deploy: deploy again.")
        if self._lease.takes > _MOST_TAKES:
            raise OperationFailed(f"{_MOST_TAKES} workers vanished over it: it is given up.")
        self._log.info("Nothing had begun yet: starting again.")

    def _deploy(self) -> Deploy:
        return Deploy(
            store=self._store,
            runtime=self._runtime,
            settings=self._settings,
            lease=self._lease,
            keeper=self._keeper,
            log=self._log,
            placement=self._placement,
            operation=self._operation,
            changes=self._changes,
            secrets=self._secrets,
            remove_own=self._remove_own,
        )

    def _roll_back(self) -> None:
        """Make the app serve what it served before, and say so, or why that could not be.

        An Engine that is away is waited for, with growing pauses, while the lease is kept: nobody
        else would bring the old release back. Raises ``LeaseLost`` or ``StoreUnavailable``.
        """
        self._keeper.renew()  # the failure may be the work of whoever has the lease now
        release, configuration = self._live
        if self._store.operations.point(self._operation.id) != BEGUN:
            if release is not None:
                self._log.info(
                    f"Nothing was changed: release {release.number} serves on, as before."
                )
            return
        deadline, pause = time.monotonic() + _ROLL_BACK_SECONDS, 0.2
        while True:
            try:
                mended = serve_only(self._runtime, self._placement, release, configuration)
                break
            except OperationFailed as error:
                if time.monotonic() > deadline:
                    self._log.error(f"Could not roll back: {error}")
                    return
                if pause == 0.2:
                    self._log.warn(f"Cannot roll back yet, trying again: {error}")
            self._keeper.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if release is not None and mended:
            self._log.info(f"Rolled back: release {release.number} serves again.")
        elif release is not None:
            self._log.info(f"Release {release.number} serves on, as before.")

    def _read_live(self) -> tuple[Release | None, dict[str, str]]:
        """Return the live release and the configuration it went live with."""
        number = self._placement.app.state.release
        if number is None:
            return None, {}
        release = self._store.apps.release(self._placement.app.id, number)
        opened = self._store.sealer.open(release.sealed_configuration)
        return release, decode(AppSecrets, opened).configuration

    def _remove_replaced(self) -> None:
        """Remove the stopped containers of the release before, by name: the app's next operation
        may have begun. It removes them, too, if this fails.
        """
        try:
            for container in self._replaced:
                self._unguarded.remove(container)
        except OperationFailed as error:
            logger.warning("old containers of app %s stay for now: %s", self._lease.app_id, error)

    def _remove_own(self) -> None:
        """Remove what was made under this lease, which needs none: nobody else counts on it."""
        labels = self._placement.attempt(self._operation.id, self._lease.fence)
        remove_all(self._unguarded, labels)
