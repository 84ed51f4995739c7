"""A deploy, and a rebuild: resolve the reference, pull the image, plan, and go live with it."""

from __future__ import annotations

from enclave.app import AppSecrets, AppState
from enclave.changes import changed_secrets, changed_state
from enclave.errors import InvalidFile, InvalidFiles, NothingToDeploy, OperationFailed
from enclave.image import ImageReference
from enclave.operation import OperationType
from enclave.pushed_config import ConfigFiles
from enclave.store.leases import Ending
from worker.go_live import GoLive
from worker.image_fetch import ImageFetch
from worker.image_files import read_image_files
from worker.plan import plan_deploy
from worker.runtime import Image
from worker.target import Source, Target, target_of_plan
from worker.work import Old, Work


class Deploy:
    """One deploy or rebuild of one app. Implements ``Story``."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._state: AppState = changed_state(work.app.state, work.operation.request, work.changes)
        self._secrets: AppSecrets = changed_secrets(work.secrets, work.changes)
        self.old = Old()

    def run(self) -> Ending:
        """See ``Story``."""
        self._announce()
        image, reference = self._pull()
        live = GoLive(self._work, self._target(image, reference))
        self.old = live.old
        return live.run()

    def _announce(self) -> None:
        pushed, log = self._state.pushed, self._work.log
        what = pushed.commit[:8] if pushed else self._state.image
        rebuilds = self._work.operation.request.type is OperationType.REBUILD
        log.info(f"{'Rebuilding' if rebuilds else 'Deploying'} {what}...")
        log.info(
            "Pressing CTRL + C, or losing this connection, will not interrupt the deploy. "
            f"To cancel it: aptible operation:cancel {self._work.operation.id}"
        )

    def _pull(self) -> tuple[Image, ImageReference]:
        """Resolve the reference to a digest once, and make that image present (SPEC 6.2)."""
        work = self._work
        if self._state.image is None:
            if self._state.pushed is not None and self._state.pushed.dockerfile:
                raise OperationFailed("Building a Dockerfile is not available yet.")
            raise NothingToDeploy("You need to deploy either from git or a Docker image")
        fetch = ImageFetch(
            store=work.store,
            runtime=work.runtime,
            settings=work.settings,
            points=work.points,
            log=work.log,
            app_id=work.app.id,
            operation_id=work.operation.id,
            stored=self._secrets.credentials,
            helper=self._state.credential_helper,
        )
        return fetch.fetch(self._state.image)

    def _target(self, image: Image, reference: ImageReference) -> Target:
        work, changes = self._work, self._work.changes
        pushed = self._state.pushed.files if self._state.pushed else ConfigFiles()
        of_image = read_image_files(work, image, pushed)
        files = pushed.over(of_image or ConfigFiles())
        try:
            plan = plan_deploy(
                self._state,
                image,
                files,
                count_of_new=changes.container_count,
                size_of_new=changes.container_size,
            )
        except (InvalidFile, InvalidFiles) as error:  # our rules changed, or it is the image's
            raise OperationFailed(f"The release's files are invalid.\n{error}") from error
        if work.operation.request.type is OperationType.REBUILD:
            plan = plan.without_before()  # they run on deploys only (SPEC 5.2)
        source = Source(reference, image, files, of_image)
        return target_of_plan(work, plan, source, self._state, self._secrets)
