"""Operations that need no registry: restart, configure, scale and rollback.

They put an image live again that a release has recorded (SPEC 6.6).
"""

from __future__ import annotations

from dataclasses import replace

from enclave.app import AppSecrets
from enclave.changes import changed_secrets, changed_state
from enclave.codec import decode
from enclave.errors import NotFound, OperationFailed
from enclave.operation import OperationStatus
from enclave.release import Release, ReleasedService
from enclave.release_status import check_not_expired
from enclave.store.leases import Ending
from worker.go_live import GoLive, name_of
from worker.plan import with_size
from worker.target import Target, target_like
from worker.work import Old, Work


class _Redeploy:
    """What the four have in common. Implements ``Story``."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.old = Old()

    def run(self) -> Ending:
        """See ``Story``."""
        target = self._target()
        live = GoLive(self._work, target)
        self.old = live.old
        return live.run()

    def _target(self) -> Target:
        raise NotImplementedError

    def _live(self) -> Release:
        """Return the live release, with its image still there."""
        release = self._work.live.release
        if release is None:
            raise OperationFailed("The app was never deployed: there is nothing that runs.")
        return self._present(release)

    def _present(self, release: Release) -> Release:
        if self._work.runtime.image(release.image_id) is None:
            raise OperationFailed(
                f"The image of release {release.number} ({release.image}) is not on the Engine any "
                "more: deploy again (aptible deploy, aptible rebuild)."
            )
        return release


class Restart(_Redeploy):
    """New containers of the current release, without pulling."""

    def _target(self) -> Target:
        release = self._live()
        self._work.log.info(f"Restarting release {release.number}...")
        return target_like(self._work, release, release.services, renewed=_types(release))


class Configure(_Redeploy):
    """Changed variables, and new containers that have them."""

    def run(self) -> Ending:
        """See ``Story``. An app that was never deployed only stores them (SPEC 6.6)."""
        names = ", ".join(sorted(self._work.changes.environment)) or "nothing"
        self._work.log.info(f"Changing {names}...")
        if self._work.live.release is not None:
            return super().run()
        self._work.begin()
        work = self._work
        return Ending(
            OperationStatus.SUCCEEDED,
            f"{name_of(work.operation.request.type)} succeeded. It counts from the first deploy.",
            state=changed_state(work.app.state, work.operation.request, work.changes),
            secrets=changed_secrets(work.secrets, work.changes),
            stays_pending=True,
        )

    def _target(self) -> Target:
        work, release = self._work, self._live()
        return target_like(
            work,
            release,
            release.services,
            renewed=_types(release),
            state=changed_state(work.app.state, work.operation.request, work.changes),
            secrets=changed_secrets(work.secrets, work.changes),
        )


class Scale(_Redeploy):
    """Another count or size of one service; the others are left alone."""

    def _target(self) -> Target:
        work, release = self._work, self._live()
        wanted, changes = work.operation.request.process_type or "", work.changes
        service = release.service(wanted)
        if service is None:
            names = ", ".join(each.process_type for each in release.services)
            raise OperationFailed(f"The app has no service {wanted!r} any more, only {names}.")
        scaled = replace(
            service,
            container_count=service.container_count
            if changes.container_count is None
            else changes.container_count,
            memory_mb=changes.container_size or service.memory_mb,
        )
        work.log.info(
            f"Scaling {wanted} from {service.container_count} x {service.memory_mb} MB to "
            f"{scaled.container_count} x {scaled.memory_mb} MB..."
        )
        services = [scaled if each is service else each for each in release.services]
        return target_like(work, release, services, renewed=frozenset([wanted]))


class Rollback(_Redeploy):
    """The image, commit and configuration of an earlier release (SPEC 6.6).

    Services that exist keep their counts and sizes; it moves no ref.
    """

    def _target(self) -> Target:
        work = self._work
        number = work.operation.request.release or 0
        try:
            earlier = work.store.apps.release(work.app.id, number)
        except NotFound as error:
            raise OperationFailed(f"The app has no release {number}.") from error
        work.log.info(f"Rolling back to release {number} ({earlier.image})...")
        # Held first: from then on no clean-up takes the image, and what has gone is known.
        work.points.attempt(
            lambda: work.store.images.hold(work.app.id, work.operation.id, earlier.pinned)
        )
        expired = work.store.images.expired_through(work.app.id)
        check_not_expired(earlier, live=work.app.state.release, expired_through=expired)
        self._present(earlier)
        state = replace(
            work.app.state, image=earlier.image, pushed=earlier.pushed, detached=earlier.detached
        )
        opened = decode(AppSecrets, work.store.sealer.open(earlier.sealed_configuration))
        return target_like(
            work,
            earlier,
            [self._as_now(service) for service in earlier.services],
            renewed=_types(earlier),
            state=state,
            secrets=replace(work.secrets, configuration=opened.configuration),
        )

    def _as_now(self, service: ReleasedService) -> ReleasedService:
        return with_size(service, self._work.app.state.service(service.process_type))


def _types(release: Release) -> frozenset[str]:
    return frozenset(service.process_type for service in release.services)
