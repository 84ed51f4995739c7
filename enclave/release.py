"""A release: what one successful operation put live, complete enough to be put live again."""

from __future__ import annotations

from dataclasses import dataclass

from enclave.app import CONTAINER_SIZE_MB
from enclave.pushed_config import ConfigFiles, PushedConfig


@dataclass(frozen=True, slots=True)
class Attempt:
    """One operation under one lease: what containers are named by. ``number`` is the release's."""

    number: int
    operation_id: int
    fence: str


@dataclass(frozen=True, slots=True)
class ReleasedService:
    """A service as it runs.

    ``arguments`` is the argument vector the container gets in place of the image's CMD, None for
    the image's own. ``made`` is the attempt that made its containers: an operation that leaves a
    service alone leaves its containers alone. None (in old records): the release's own.
    ``stop_seconds``: from SIGTERM to SIGKILL; None for the installation's default.
    """

    process_type: str
    command: str | None
    arguments: tuple[str, ...] | None
    container_count: int
    memory_mb: int = CONTAINER_SIZE_MB
    made: Attempt | None = None
    stop_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """One release of an app, numbered from 1.

    ``operation_id`` and ``fence`` (the number of the lease it was made under) name its containers:
    an operation that had to be begun again has several attempts, and only one of them counts.
    ``image`` is the reference that was asked for, ``pinned`` is ``repository@sha256:…`` and
    ``image_id`` the runtime's id: what containers run. ``sealed_configuration`` is the app's
    environment at that time, sealed JSON. ``files`` are the Procfile and .aptible.yml it was made
    from; ``image_files`` are those inside the image, None when they were not read.
    ``exposed_ports`` and ``has_healthcheck`` are the image's. No rollback needs registry or git.
    """

    number: int
    app_id: int
    operation_id: int
    fence: str
    user_email: str
    created_at: str
    image: str
    pinned: str
    image_id: str
    pushed: PushedConfig | None
    services: tuple[ReleasedService, ...]
    sealed_configuration: str
    detached: bool = False
    type: str = "deploy"
    files: ConfigFiles | None = None
    image_files: ConfigFiles | None = None
    exposed_ports: tuple[int, ...] = ()
    has_healthcheck: bool = False

    def made(self, service: ReleasedService) -> Attempt:
        """Return the attempt that made a service's containers."""
        return service.made or Attempt(self.number, self.operation_id, self.fence)

    def config_files(self) -> ConfigFiles:
        """Return the files it was made from; old records have the commit's alone."""
        if self.files is not None:
            return self.files
        return self.pushed.files if self.pushed else ConfigFiles()

    def service(self, process_type: str) -> ReleasedService | None:
        """Return the service of that type, or None."""
        return next((s for s in self.services if s.process_type == process_type), None)
