"""An operation: one piece of queued work on an app. The request is immutable; the status moves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from enclave.endpoint import Endpoint
from enclave.pushed_config import PushedConfig

ZERO_ID = "0" * 40
"""In git's protocol: no object, so the ref is created or deleted."""


class OperationType(StrEnum):
    """The kinds of work (SPEC 1)."""

    DEPLOY = "deploy"
    RESTART = "restart"
    REBUILD = "rebuild"
    CONFIGURE = "configure"
    SCALE = "scale"
    ROLLBACK = "rollback"
    PROVISION = "provision"
    DEPROVISION = "deprovision"
    EXECUTE = "execute"
    LOGS = "logs"

    @property
    def visits(self) -> bool:
        """Whether it runs beside the others, for as long as somebody is connected (SPEC 6.1)."""
        return self in (OperationType.EXECUTE, OperationType.LOGS)


class OperationStatus(StrEnum):
    """SPEC 1. ``SUCCEEDED`` and ``FAILED`` are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the operation."""
        return self in (OperationStatus.SUCCEEDED, OperationStatus.FAILED)


class Source(StrEnum):
    """Where an operation's Procfile and .aptible.yml come from (SPEC 3.3 to 3.5)."""

    KEEP = "keep"
    COMMIT = "commit"
    DETACH = "detach"


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One command of a push: move ``ref`` from ``old`` to ``new`` (40 digits, zeros for none).

    ``config`` is the pushed config of ``new``, None for a deletion or a tag that is no commit.
    """

    ref: str
    old: str
    new: str
    config: PushedConfig | None = None

    @property
    def creates(self) -> bool:
        """Whether the ref comes into being."""
        return self.old == ZERO_ID and self.new != ZERO_ID

    @property
    def deletes(self) -> bool:
        """Whether the ref goes."""
        return self.new == ZERO_ID


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What was asked, by whom. Never changes; what it changes of the app is sealed beside it.

    ``reserved`` are the refs that the successful end moves; until then nobody else may.
    ``release`` is the number a rollback goes back to. ``endpoint`` is what is provisioned or
    deprovisioned; a deprovision without one is the app's. ``process_type`` is the service that is
    scaled.
    """

    app_id: int
    type: OperationType
    user_id: int
    user_email: str
    source: Source = Source.KEEP
    pushed: PushedConfig | None = None
    reserved: tuple[RefUpdate, ...] = ()
    release: int | None = None
    endpoint: Endpoint | None = None
    process_type: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A request with its number and how far it got. Times are ISO 8601, UTC."""

    id: int
    request: OperationRequest
    status: OperationStatus
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    cancelled: bool = False
    message: str = ""

    def describe(self) -> str:
        """Return ``operation 41 (deploy by EMAIL)``, as messages to other users name it."""
        return f"operation {self.id} ({self.request.type} by {self.request.user_email})"
