"""What an operation wants to be live: a new release, and which of its containers are made anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from enclave.app import AppSecrets, AppState
from enclave.clock import now_iso
from enclave.codec import encode
from enclave.image import ImageReference
from enclave.pushed_config import ConfigFiles
from enclave.release import Release, ReleasedService
from worker.plan import Plan, live_services
from worker.routing import port_of
from worker.runtime import Image
from worker.work import Work


@dataclass(frozen=True, slots=True)
class Target:
    """``state`` and ``secrets`` are the app's once ``release`` is live.

    ``before`` are the commands that must succeed first. The services in ``renewed`` get new
    containers; the others keep theirs, which the release names as before.
    """

    release: Release
    state: AppState
    secrets: AppSecrets = field(repr=False)
    renewed: frozenset[str]
    before: tuple[str, ...] = ()

    @property
    def configuration(self) -> dict[str, str]:
        """The variables of the new containers."""
        return self.secrets.configuration


@dataclass(frozen=True, slots=True)
class Source:
    """What a release is made from: an image, and the files that say how it runs.

    ``of_image`` are the files inside the image, None when they were not read.
    """

    reference: ImageReference
    image: Image
    files: ConfigFiles
    of_image: ConfigFiles | None


def target_of_plan(
    work: Work, plan: Plan, source: Source, state: AppState, secrets: AppSecrets
) -> Target:
    """Return the target of an operation that has pulled an image: everything is made anew."""
    attempt = work.attempt
    release = Release(
        number=attempt.number,
        app_id=work.app.id,
        operation_id=attempt.operation_id,
        fence=attempt.fence,
        user_email=work.operation.request.user_email,
        created_at=now_iso(),
        image=source.reference.familiar,
        pinned=source.image.pinned,
        image_id=source.image.id,
        pushed=state.pushed,
        services=_services(work, plan.services),
        sealed_configuration=_sealed(work, secrets),
        detached=state.detached,
        type=work.operation.request.type,
        files=source.files,
        image_files=source.of_image,
        exposed_ports=source.image.exposed_ports,
        has_healthcheck=source.image.has_healthcheck,
    )
    renewed = frozenset(service.process_type for service in release.services)
    return _target(work, release, state, secrets, renewed=renewed, before=plan.before)


def target_like(
    work: Work,
    earlier: Release,
    services: Iterable[ReleasedService],
    *,
    renewed: frozenset[str],
    state: AppState | None = None,
    secrets: AppSecrets | None = None,
) -> Target:
    """Return a target that runs an earlier release's image, with these services."""
    attempt = work.attempt
    state, secrets = state or work.app.state, secrets or work.secrets
    made = {each.process_type: each for each in _services(work, services)}
    release = replace(
        earlier,
        number=attempt.number,
        operation_id=attempt.operation_id,
        fence=attempt.fence,
        user_email=work.operation.request.user_email,
        created_at=now_iso(),
        type=work.operation.request.type,
        services=tuple(
            made[each.process_type]
            if each.process_type in renewed
            else replace(each, made=earlier.made(each))
            for each in services
        ),
        sealed_configuration=_sealed(work, secrets),
    )
    return _target(work, release, state, secrets, renewed=renewed)


def _target(
    work: Work,
    release: Release,
    state: AppState,
    secrets: AppSecrets,
    *,
    renewed: frozenset[str],
    before: tuple[str, ...] = (),
) -> Target:
    """Check what can be checked before anything is begun. Raises ``OperationFailed``."""
    present = {service.process_type for service in release.services}
    for endpoint in work.app.state.endpoints:
        if endpoint.process_type in present:
            port_of(endpoint, release)
    _warn_of_missing(work, present)
    state = replace(
        state,
        services=live_services(release.services),
        release=release.number,
        endpoints=work.app.state.endpoints,
    )
    return Target(release, state, secrets, renewed, before)


def _warn_of_missing(work: Work, present: set[str]) -> None:
    """Say what stops with this release: nobody may have meant that (SPEC 4.5)."""
    state = work.app.state
    for service in state.services:
        if service.process_type not in present:
            work.log.warn(
                f"The service {service.process_type} is not in this release: its containers stop "
                "once it is live."
            )
    for endpoint in state.endpoints:
        if endpoint.process_type not in present:
            work.log.warn(
                f"The endpoint {endpoint.host(work.settings.domain)} leads to the service "
                f"{endpoint.process_type}, which is not in this release: it answers 503 until "
                "there is one of that name again."
            )


def _services(work: Work, services: Iterable[ReleasedService]) -> tuple[ReleasedService, ...]:
    settings = work.store.apps.service_settings(work.app.id)
    return tuple(
        replace(
            service,
            made=work.attempt,
            stop_seconds=settings[service.process_type].stop_seconds
            if service.process_type in settings
            else None,
        )
        for service in services
    )


def _sealed(work: Work, secrets: AppSecrets) -> str:
    return work.store.sealer.seal(encode(AppSecrets(secrets.configuration)))
