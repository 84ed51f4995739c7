"""Runs the next operation of an app: lease, recovery, the deploy, the one end."""

from __future__ import annotations

import logging
import uuid

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
from worker.runtime import LABEL_OPERATION, Runtime
from worker.serve import serve_only

logger = logging.getLogger(__name__)


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
        OperationRun(store, runtime, settings, lease, keeper).run()
    return True


class OperationRun:
    """One operation under one lease."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        settings: Settings,
        lease: Lease,
        keeper: LeaseKeeper,
    ) -> None:
        self._store, self._runtime, self._settings = store, runtime, settings
        self._lease, self._keeper = lease, keeper
        self._operation: Operation = store.operations.operation(lease.operation_id)
        self._changes = store.operations.changes(lease.operation_id)
        app = store.apps.app(lease.app_id)
        self._secrets: AppSecrets = store.apps.secrets(app.id)
        self._placement = Placement(store.installation(), app)
        hidden = secrets_of(self._secrets, [self._changes.credentials])
        hidden += secrets_of(AppSecrets(self._changes.environment))
        self._redactor = Redactor(hidden)
        self._log = OperationLog(store.logs, lease, self._redactor)

    def run(self) -> None:
        """Run the operation and record its end; then tidy up."""
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
        if ending.status is OperationStatus.SUCCEEDED and ending.release is not None:
            self._tidy(ending.release)

    def _attempt(self) -> Ending:
        """Do the work; on failure undo it. Returns the ending, with the log saying the same."""
        try:
            self._recover()
            if self._operation.cancelled:
                raise OperationCancelled("Cancelled.")
            ending = self._deploy().run()
            self._log.info(ending.message)
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
        self._log.error(sentence)  # the last line of the log says what failed (SPEC 7)
        cancelled = isinstance(failed, OperationCancelled)
        return Ending(OperationStatus.FAILED, self._redactor.redact(sentence), cancelled=cancelled)

    def _recover(self) -> None:
        """Settle what a vanished worker left: run again what had not begun, fail the rest."""
        if not self._lease.recovers:
            return
        self._log.warn("The worker that ran this operation vanished.")
        if self._store.operations.point(self._operation.id) == BEGUN:
            raise OperationFailed("Its worker vanished in mid-deploy: deploy again.")
        self._remove_own()
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
        )

    def _roll_back(self) -> None:
        """Make the app serve what it served before, and say so, or why that could not be."""
        release, configuration = self._live()
        try:
            mended = serve_only(self._runtime, self._placement, release, configuration)
        except EnclaveError as error:
            self._log.error(f"Could not roll back to release {release and release.number}: {error}")
            return
        if release is not None and mended:
            self._log.info(f"Rolled back: release {release.number} serves again.")
        elif release is not None:
            self._log.info(f"Release {release.number} serves on, as before.")

    def _live(self) -> tuple[Release | None, dict[str, str]]:
        """Return the live release and the configuration it went live with."""
        number = self._placement.app.state.release
        if number is None:
            return None, {}
        release = self._store.apps.release(self._placement.app.id, number)
        opened = self._store.sealer.open(release.sealed_configuration)
        return release, decode(AppSecrets, opened).configuration

    def _tidy(self, release: Release) -> None:
        """Remove what the release replaced; the next operation does it again if this fails."""
        try:
            for container in self._runtime.containers(self._placement.labels()):
                if container.labels.get(LABEL_OPERATION) != str(release.operation_id):
                    self._runtime.remove(container)
        except OperationFailed as error:
            logger.warning("old containers of app %s stay for now: %s", release.app_id, error)

    def _remove_own(self) -> None:
        labels = {**self._placement.labels(), LABEL_OPERATION: str(self._operation.id)}
        for container in self._runtime.containers(labels):
            self._runtime.remove(container)
