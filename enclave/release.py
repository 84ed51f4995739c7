"""A release: what one successful operation put live, complete enough to be put live again."""

from __future__ import annotations

from dataclasses import dataclass

from enclave.pushed_config import PushedConfig


@dataclass(frozen=True, slots=True)
class ReleasedService:
    """A service as it runs.

    ``arguments`` is the argument vector the container gets in place of the image's CMD, None for
    the image's own.
    """

    process_type: str
    command: str | None
    arguments: tuple[str, ...] | None
    container_count: int


@dataclass(frozen=True, slots=True)
class Release:
    """One release of an app, numbered from 1.

    ``operation_id`` and ``fence`` (the number of the lease it was made under) name its containers:
    an operation that had to be begun again has several attempts, and only one of them counts.
    ``image`` is the reference that was asked for, ``pinned`` is ``repository@sha256:…`` and
    ``image_id`` the runtime's id: what containers run. ``sealed_configuration`` is the app's
    environment at that time, sealed JSON. No rollback needs registry or git.
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
