"""A deploy, as a story: resolve, pull, plan, before-commands, stop, start, check, commit.

Each step before the commit knows its undoing: whatever fails, the app serves exactly what it
served before (invariant 5). The commit is one transaction of the store; after it only tidying is
left, which the next operation of the app does again if this one dies first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from enclave.app import App, AppSecrets, AppState
from enclave.changes import Changes, changed_secrets, changed_state
from enclave.checkpoints import reached
from enclave.clock import now_iso
from enclave.codec import encode
from enclave.credentials import RegistryCredentials
from enclave.errors import CommandFailed, NothingToDeploy, OperationFailed, StepTimedOut
from enclave.image import ImageReference
from enclave.operation import Operation, OperationStatus
from enclave.release import Release
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from worker.log import OperationLog
from worker.plan import Placement, Plan, live_services, plan_deploy
from worker.runtime import Container, ContainerSpec, Image, Runtime
from worker.safe_points import SafePoints
from worker.serve import stop_all

BEGUN = "before-commands"
"""The point from which on a deploy is not simply run again after a crash (DESIGN 4)."""


class Deploy:
    """One deploy of one app, by the holder of the app's lease."""

    def __init__(
        self,
        *,
        store: Store,
        runtime: Runtime,
        settings: Settings,
        lease: Lease,
        points: SafePoints,
        log: OperationLog,
        placement: Placement,
        operation: Operation,
        changes: Changes,
        secrets: AppSecrets,
        begin: Callable[[], None],
        remove_own: Callable[[], None],
    ) -> None:
        self._store, self._runtime, self._settings = store, runtime, settings
        self._lease, self._points, self._log = lease, points, log
        self._placement, self._operation = placement, operation
        self._app: App = placement.app
        self._changes = changes
        self._state: AppState = changed_state(self._app.state, operation.request, changes)
        self._secrets: AppSecrets = changed_secrets(secrets, changes)
        self._begin, self._remove_own = begin, remove_own
        self.replaced: list[Container] = []
        """The stopped containers of the release before, to be removed once this one is live."""

    def run(self) -> Ending:
        """Deploy. Returns the successful ending, committed by the caller's ``finish``.

        Raises ``OperationFailed`` or ``InvalidInput`` with what went wrong, after nothing but
        containers of this operation's own is left to remove.
        """
        self._announce()
        image, reference = self._pull()
        plan = plan_deploy(self._state, image, count_of_new=self._changes.container_count)
        release = self._release(plan, image, reference)
        self._begin()
        self._run_before_commands(plan, release, image)
        self._points.check()
        self._stop_old()
        containers = self._start_new(release)
        self._check_new(containers)
        self._points.check()
        return Ending(
            OperationStatus.SUCCEEDED,
            "Deploy succeeded.",
            untidy=bool(self.replaced),
            state=replace(
                self._state, services=live_services(plan.services), release=release.number
            ),
            secrets=self._secrets,
            release=release,
        )

    def _announce(self) -> None:
        pushed = self._state.pushed
        self._log.info(f"Deploying {pushed.commit[:8] if pushed else self._state.image}...")
        self._log.info(
            "Pressing CTRL + C, or losing this connection, will not interrupt the deploy. "
            f"To cancel it: aptible operation:cancel {self._operation.id}"
        )

    def _pull(self) -> tuple[Image, ImageReference]:
        """Resolve the reference to a digest once, and make that image present (SPEC 6.2)."""
        if self._state.image is None:
            if self._state.pushed is not None and self._state.pushed.dockerfile:
                raise OperationFailed("Building a Dockerfile is not available yet.")
            raise NothingToDeploy("You need to deploy either from git or a Docker image")
        reference = ImageReference.parse(self._state.image)
        credentials = self._credentials(reference)
        with self._log.step(f"Pulling {reference.familiar}"):
            reached("pulling")
            digest = self._points.attempt(lambda: self._runtime.resolve(reference, credentials))
            self._log.info(f"{reference.familiar} is {digest}")
            image = self._points.attempt(
                lambda: self._runtime.pull(
                    reference.pinned(digest),
                    credentials,
                    progress=self._say_progress,
                    summary=self._say_summary,
                    seconds=self._settings.pull_seconds,
                )
            )
        return image, reference

    def _say_progress(self, line: str) -> None:
        """Show how far the pull is; whatever is raised here ends it, a cancel too."""
        self._points.check()
        self._log.progress(line)

    def _say_summary(self, line: str) -> None:
        self._points.check()
        self._log.info(line)

    def _credentials(self, reference: ImageReference) -> RegistryCredentials | None:
        """Return the stored credentials if they belong to the image's registry (SPEC 3.2)."""
        credentials = self._secrets.credentials
        if credentials is not None and credentials.domain != reference.domain:
            self._log.warn(
                f"The stored registry credentials are for {credentials.domain}: "
                f"pulling from {reference.domain} without them."
            )
            return None
        return credentials

    def _release(self, plan: Plan, image: Image, reference: ImageReference) -> Release:
        return Release(
            number=(self._app.state.release or 0) + 1,
            app_id=self._app.id,
            operation_id=self._operation.id,
            fence=self._lease.fence,
            user_email=self._operation.request.user_email,
            created_at=now_iso(),
            image=reference.familiar,
            pinned=image.pinned,
            image_id=image.id,
            pushed=self._state.pushed,
            services=plan.services,
            sealed_configuration=self._store.sealer.seal(
                encode(AppSecrets(self._secrets.configuration))
            ),
        )

    def _run_before_commands(self, plan: Plan, release: Release, image: Image) -> None:
        """Run each command in a fresh container of the new image (SPEC 5.2)."""
        for number, command in enumerate(plan.before, 1):
            spec = self._placement.command_container(
                release, self._secrets.configuration, image, command, number
            )
            name = f"before_release {number} of {len(plan.before)}: {command}"
            with self._log.step(name):
                reached(f"before_release {number}")
                status = self._points.attempt(
                    partial(self._run, spec, command), undo=self._remove_own
                )
                if status != 0:
                    raise CommandFailed(f"before_release command exited {status}: {command}")

    def _run(self, spec: ContainerSpec, command: str) -> int:
        """Run a command with its output in the log; return its exit status."""
        output = self._log.output()

        def take(chunk: bytes) -> None:
            self._points.check()  # what is raised here kills it
            output(chunk)

        try:
            return self._runtime.run(spec, output=take, seconds=self._settings.command_seconds)
        except StepTimedOut as error:
            raise StepTimedOut(f"before_release: {error} ({command})") from error
        finally:
            output.close()

    def _stop_old(self) -> None:
        """Services without an endpoint: never two generations at once (SPEC 6.3)."""
        self.replaced = self._runtime.containers(self._placement.labels())
        if self.replaced:
            what = f"Stopping {len(self.replaced)} container(s) of the previous release"
            with self._log.step(what):
                stop_all(self._runtime, self.replaced, seconds=self._settings.stop_seconds)
        reached("old stopped")

    def _start_new(self, release: Release) -> list[Container]:
        specs = self._placement.service_containers(release, self._secrets.configuration)
        services = ", ".join(f"{s.process_type} x{s.container_count}" for s in release.services)
        with self._log.step(f"Starting {services}"):
            containers = []
            for spec in specs:
                self._points.check()
                containers.append(self._runtime.start(spec))
        reached("new started")
        return containers

    def _check_new(self, containers: list[Container]) -> None:
        """Healthy without an endpoint: still running after a settle time (SPEC 6.4)."""
        with self._log.step("Waiting for the new containers to settle"):
            self._points.attempt(partial(self._settle, containers), undo=self._remove_own)
        for container in containers:
            self._runtime.keep(container)

    def _settle(self, containers: list[Container]) -> None:
        reached("health")
        deadline = self._settings.settle_seconds
        for container in containers:
            self._runtime.settle(container, seconds=deadline)
            deadline = 0.0  # they all started before: the first one's wait covers the others
