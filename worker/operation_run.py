"""One operation under one lease: recovery, its story, its undoing, the one end."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from enclave.app import AppSecrets, AppStatus
from enclave.checkpoints import reached
from enclave.codec import decode
from enclave.errors import (
    EnclaveError,
    HandedBack,
    InvalidInput,
    LeaseLost,
    NotFound,
    OperationCancelled,
    OperationFailed,
    OperationOverdue,
    StoreUnavailable,
)
from enclave.operation import Operation, OperationStatus
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from worker.cancel_listener import CancelListener
from worker.command_output import MAX_LINE
from worker.commands import Hooks, run_hooks
from worker.image_cleaning import ImageCleaning
from worker.lease_keeper import LeaseKeeper
from worker.live import read_live
from worker.log import OperationLog
from worker.plan import Placement
from worker.redaction import Redactor, secrets_of
from worker.roll_back import RollBack
from worker.routing import Routing
from worker.runtime import LABEL_SERVICE, Runtime
from worker.runtime.guarded import GuardedRuntime
from worker.serve import retire, take_away
from worker.stories import story_of
from worker.work import BEGUN, Old, Work

logger = logging.getLogger(__name__)

_MOST_TAKES = 3  # workers that may vanish before an operation has begun


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
        self._lease, self._keeper, self._points = lease, keeper, keeper.safe_points
        self._operation: Operation = store.operations.operation(lease.operation_id)
        self._changes = store.operations.changes(lease.operation_id)
        app = store.apps.app(lease.app_id)
        self._secrets: AppSecrets = store.apps.secrets(app.id)
        self._placement = Placement(store.installation(), app)
        self._live = read_live(store, app)
        hidden = secrets_of(self._secrets, [self._changes.credentials])
        hidden += secrets_of(AppSecrets(self._changes.environment))
        hidden += secrets_of(AppSecrets(self._live.configuration))
        hidden += secrets_of(AppSecrets(self._configuration_to_restore()))
        self._redactor = Redactor(hidden)
        self._log = OperationLog(
            store.logs, lease, self._redactor, output_limit=settings.log_output_characters
        )
        self._routing = Routing(store, settings, lease)
        self._roll_back = RollBack(
            store,
            self._runtime,
            self._routing,
            lease,
            keeper,
            self._placement,
            self._live,
            self._log,
        )
        self._work = self._shared()
        self._old = Old()

    def run(self) -> None:
        """Run the operation and record its end; then remove what it replaced."""
        try:
            ending = self._record(self._attempt())
        except HandedBack as error:
            self._hand_back(str(error))
            return
        except LeaseLost:
            logger.warning("lost the lease of %s", self._operation.describe())
            self._leave()
            return
        finally:
            self._log.close()
        if ending.status is OperationStatus.SUCCEEDED:
            reached("committed")
            self._remove_replaced()
        self._clean_images()

    def _attempt(self) -> Ending:
        """Do the work; on failure undo it. Returns the ending."""
        listener = CancelListener(self._store.operations, self._operation.id, self._points)
        try:
            self._recover()
            if self._operation.cancelled:
                raise OperationCancelled("Cancelled.")
            if self._placement.app.status is AppStatus.DEPROVISIONED:
                raise OperationFailed("The app was deprovisioned.")
            with listener.listening(), self._limited():
                story = story_of(self._work)
                ending = story.run()
            self._old = story.old
            return ending
        except (LeaseLost, StoreUnavailable, HandedBack):
            raise
        except EnclaveError as error:
            failed = error
        except Exception:  # the outermost frame of an operation
            reference = uuid.uuid4().hex[:12]
            logger.exception("%s failed: %s", self._operation.describe(), reference)
            failed = OperationFailed(f"Internal error {reference}: tell the server's operator.")
        return self._undone(failed)

    def _undone(self, failed: EnclaveError) -> Ending:
        """Roll back after a failure, and return the ending."""
        sentence, *details = str(failed).split("\n")
        for detail in details:  # a container's last lines, say
            self._log.info(detail)
        mended = self._roll_back.after(failed)
        cancelled = isinstance(failed, OperationCancelled)
        if not cancelled:
            self._run_failure_hooks()
        return Ending(
            OperationStatus.FAILED,
            self._log.clean(sentence)[:MAX_LINE],
            cancelled=cancelled,
            untidy=not mended,
        )

    def _record(self, ending: Ending) -> Ending:
        """Record the end, once the log is whole. Returns it, or what a cancel made of it.

        Recording a success is the point of no return: a cancel that came before it counts.
        """
        self._log.flush()
        reached("commit")
        try:
            self._keeper.patiently(lambda: self._store.leases.finish(self._lease, ending))
        except OperationCancelled as error:
            undone = self._undone(error)
            self._log.flush()
            self._keeper.patiently(lambda: self._store.leases.finish(self._lease, undone))
            return undone
        return ending

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Stop the operation when it has run for too long, naming the step that was too slow."""
        limit = self._settings.operation_seconds

        def overdue() -> None:
            step = self._log.slowest_step()
            slow = f" Its slowest step: {step.what} ({step.seconds:.0f} s)." if step else ""
            self._points.stop(
                OperationOverdue(f"The operation took longer than {limit:g} s.{slow}")
            )

        timer = threading.Timer(limit, overdue)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _recover(self) -> None:
        """Settle what a vanished worker left: run again what had not begun, fail the rest."""
        if not self._lease.recovers:
            return
        self._log.warn("The worker that ran this operation vanished.")
        if self._store.leases.point(self._operation.id) == BEGUN:
            raise OperationFailed("Its worker vanished in mid-deploy: deploy again.")
        if self._lease.takes > _MOST_TAKES:
            raise OperationFailed(f"{_MOST_TAKES} workers vanished over it: it is given up.")
        self._log.info("Nothing had begun yet: starting again.")

    def _hand_back(self, why: str) -> None:
        """Give the operation to another worker; raises nothing but ``StoreUnavailable``."""
        try:
            self._log.info("The worker is being stopped: another one takes over.")
            self._log.flush()
            self._keeper.patiently(lambda: self._store.leases.hand_back(self._lease))
        except LeaseLost:
            logger.warning("lost the lease of %s", self._operation.describe())
        else:
            logger.info("%s: %s", self._operation.describe(), why)

    def _begin(self) -> None:
        """Pass the point from which on the operation is not simply run again after a crash."""
        self._points.begin()
        self._keeper.patiently(lambda: self._store.leases.mark(self._lease, BEGUN))

    def _run_failure_hooks(self) -> None:
        """Run the failure hooks of the release that was live, and is again (SPEC 5.3)."""
        release, kind = self._live.release, self._operation.request.type
        if release is None:
            return
        try:
            hooks = Hooks.of(kind, release, self._live.configuration, succeeded=False)
            run_hooks(self._work, hooks, self._keeper.check)
        except (OperationFailed, InvalidInput) as error:
            self._log.warn(f"The after_{kind}_failure commands did not run: {error}")

    def _configuration_to_restore(self) -> dict[str, str]:
        """Return the variables that a rollback would bring back; secrets may be among them."""
        number = self._operation.request.release
        if number is None:
            return {}
        try:
            earlier = self._store.apps.release(self._lease.app_id, number)
        except NotFound:
            return {}
        opened = self._store.sealer.open(earlier.sealed_configuration)
        return decode(AppSecrets, opened).configuration

    def _shared(self) -> Work:
        return Work(
            store=self._store,
            runtime=self._runtime,
            routing=self._routing,
            settings=self._settings,
            lease=self._lease,
            points=self._points,
            log=self._log,
            placement=self._placement,
            operation=self._operation,
            changes=self._changes,
            secrets=self._secrets,
            live=self._live,
            begin=self._begin,
            remove_own=self._remove_own,
            remove_commands=self._remove_commands,
        )

    def _remove_replaced(self) -> None:
        """Retire the containers of the release before, by name: the app's next operation may have
        begun. Who dies before the end of this has left a note (``Ending.untidy``).

        Those that served requests finish what is under way first (SPEC 6.3).
        """
        try:
            app = self._placement.app
            old = self._old
            retire(self._unguarded, self._routing, app, old.serving, old.stopped)
            if self._old:
                self._store.leases.tidied(self._lease)
        except (OperationFailed, StoreUnavailable) as error:
            logger.warning("old containers of app %s stay for now: %s", self._lease.app_id, error)

    def _clean_images(self) -> None:
        """Remove the images that nobody needs since this operation; a sweep finds what is left."""
        kept = self._settings.releases_kept
        try:
            cleaning = ImageCleaning(self._store, self._unguarded, releases_kept=kept)
            cleaning.after_operation(self._lease.app_id)
        except StoreUnavailable as error:
            logger.warning("old images of app %s stay for now: %s", self._lease.app_id, error)

    def _leave(self) -> None:
        """Leave nothing behind: the lease is lost.

        Whoever froze between asking for it and the Engine's hearing him has done one thing too
        late: stopped a container that had been brought back, say. So the app is looked at again.
        """
        try:
            self._remove_own()
        except OperationFailed as error:
            logger.warning("containers of app %s stay for now: %s", self._lease.app_id, error)
        self._store.leases.untidy(self._lease.app_id)

    def _remove_own(self) -> None:
        """Remove what was made under this lease, which needs none: nobody else counts on it."""
        own = self._unguarded.containers(self._own())
        take_away(self._unguarded, self._routing, self._placement.app, own)

    def _remove_commands(self) -> None:
        """Remove the commands' containers alone: requests may be sent to the services'."""
        for container in self._unguarded.containers(self._own()):
            if LABEL_SERVICE not in container.labels:
                self._unguarded.remove(container)

    def _own(self) -> dict[str, str]:
        return self._placement.attempt(self._operation.id, self._lease.fence)
