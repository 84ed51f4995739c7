"""An app: one deployable thing, and what is live of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from enclave.credentials import RegistryCredentials
from enclave.endpoint import Endpoint
from enclave.pushed_config import PushedConfig


class AppStatus(StrEnum):
    """The toolbelt's words for an app's life (API.md)."""

    PENDING = "pending"
    PROVISIONED = "provisioned"
    DEPROVISIONED = "deprovisioned"


CONTAINER_SIZE_MB = 1024
"""The memory of a container unless ``--container-size`` says otherwise."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process type of an app. ``command`` None: the image's own ENTRYPOINT and CMD.

    ``memory_mb`` (MiB) is the limit of each of its containers.
    """

    process_type: str
    command: str | None
    container_count: int
    memory_mb: int = CONTAINER_SIZE_MB


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What is set for a process type, whether it is live or not.

    ``stop_seconds``: from SIGTERM to SIGKILL; None for the installation's default.
    """

    stop_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class AppState:
    """What the last successful operations left: read when an operation starts, written by its end.

    ``image`` is the stored reference, in its familiar form, None without one. ``pushed`` is the
    current commit's config, None before the first one and while ``detached`` (SPEC 3.4, 3.5).
    ``release`` is the number of the live release, None while the app is pending. ``endpoints`` are
    the provisioned ones. ``credential_helper`` is the program that gives registry credentials.
    """

    image: str | None = None
    pushed: PushedConfig | None = None
    detached: bool = False
    services: tuple[Service, ...] = ()
    release: int | None = None
    endpoints: tuple[Endpoint, ...] = ()
    credential_helper: str | None = None

    def service(self, process_type: str) -> Service | None:
        """Return the service of that type, or None."""
        return next((s for s in self.services if s.process_type == process_type), None)

    def endpoints_of(self, process_type: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of one service."""
        return tuple(each for each in self.endpoints if each.process_type == process_type)

    def endpoint(self, endpoint_id: int) -> Endpoint | None:
        """Return the provisioned endpoint of that number, as it is live, or None."""
        return next((each for each in self.endpoints if each.id == endpoint_id), None)


@dataclass(frozen=True, slots=True)
class AppSecrets:
    """The part of an app that is sealed at rest: its environment and its registry's password."""

    configuration: dict[str, str] = field(default_factory=dict, repr=False)
    credentials: RegistryCredentials | None = None


@dataclass(frozen=True, slots=True)
class App:
    """One app. Its repository is named by ``id`` on disk, so that renaming moves nothing."""

    id: int
    environment_id: int
    environment: str
    handle: str
    created_at: str
    status: AppStatus = AppStatus.PENDING
    deploy_branch: str = "master"
    state: AppState = field(default_factory=AppState)

    @property
    def deploy_ref(self) -> str:
        """The full name of the branch whose push deploys."""
        return f"refs/heads/{self.deploy_branch}"

    @property
    def name(self) -> str:
        """``ENVIRONMENT/APP``, as in the git remote."""
        return f"{self.environment}/{self.handle}"
