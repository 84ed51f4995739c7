"""What an operation changes of its app, and the app as it will be once it has succeeded.

An operation stores only what it changes (SPEC 3.8). The same pure functions say at queueing what
the app will look like behind everything that waits, and at the start what this operation deploys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from enclave.app import AppSecrets, AppState
from enclave.credentials import RegistryCredentials
from enclave.errors import InvalidChange, InvalidRegistryCredentials
from enclave.image import ImageReference
from enclave.operation import OperationRequest, Source

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_COUNT = 1000
_SIZES = range(16, 1024 * 1024 + 1)
_HELPER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MAX_HEALTH_SECONDS = 900

HEALTHCHECK_TIMEOUT = "RELEASE_HEALTHCHECK_TIMEOUT"
"""The variable of an app with the seconds its containers have to become healthy (SPEC 6.4)."""
STRICT_HEALTH_CHECKS = "STRICT_HEALTH_CHECKS"
"""``true``: only a 200 from ``/healthcheck`` is healthy (SPEC 6.4)."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes one operation carries; sealed at rest, since any of it may be secret.

    ``image``: None keeps, ``""`` removes, else the new reference in familiar form. ``credentials``
    replace the stored ones; ``forget_credentials`` removes them. ``environment`` maps variables to
    values, ``""`` unsets. ``container_count`` and ``container_size`` (MiB) are those of services
    that are new; of the service that is scaled, where the operation is a scale. ``helper``: None
    keeps, ``""`` removes, else the program that gives registry credentials. ``command`` is what an
    execute runs.
    """

    image: str | None = None
    credentials: RegistryCredentials | None = None
    forget_credentials: bool = False
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    container_count: int | None = None
    container_size: int | None = None
    helper: str | None = None
    command: str | None = field(default=None, repr=False)


def read_changes(
    *,
    image: str | None,
    username: str | None,
    password: str | None,
    environment: Mapping[str, str],
    container_count: int | None,
    stored_image: str | None,
    container_size: int | None = None,
    helper: str | None = None,
) -> Changes:
    """Check what a client sent and return it as changes (SPEC 3.1, 3.2, 3.8).

    ``stored_image`` is the image that credentials without an image of their own belong to. Raises
    ``InvalidImageReference``, ``InvalidRegistryCredentials`` or ``InvalidChange``.
    """
    reference = ImageReference.parse(image) if image else None
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise InvalidChange(
                f"{name!r} cannot name a variable: use letters, digits and underscores, "
                "not beginning with a digit"
            )
        if "\0" in value:
            raise InvalidChange(f"the value of {name} holds a NUL, which no environment can carry")
    _check_health_settings(environment)
    if container_count is not None and not 0 <= container_count <= _MAX_COUNT:
        raise InvalidChange(f"a container count is a number from 0 to {_MAX_COUNT}")
    if container_size is not None and container_size not in _SIZES:
        raise InvalidChange(
            f"a container size is a number of MB from {_SIZES.start} to {_SIZES.stop - 1}"
        )
    if helper and not _HELPER.fullmatch(helper):
        raise InvalidChange(
            f"{helper!r} cannot name a credential helper: use a-z, 0-9, dots, dashes and _"
        )
    pair = _read_credentials(username, password, reference, stored_image)
    return Changes(
        image=None if image is None else (reference.familiar if reference else ""),
        credentials=pair,
        forget_credentials=username == "" and password == "",
        environment=dict(environment),
        container_count=container_count,
        container_size=container_size,
        helper=helper,
    )


def _check_health_settings(environment: Mapping[str, str]) -> None:
    """Refuse a time for health checks that is none (SPEC 6.4)."""
    given = environment.get(HEALTHCHECK_TIMEOUT, "")
    if given and not (given.isascii() and given.isdigit() and int(given) <= _MAX_HEALTH_SECONDS):
        raise InvalidChange(
            f"{HEALTHCHECK_TIMEOUT} is a number of seconds from 0 to {_MAX_HEALTH_SECONDS}, "
            f"not {given!r}"
        )


def _read_credentials(
    username: str | None,
    password: str | None,
    reference: ImageReference | None,
    stored_image: str | None,
) -> RegistryCredentials | None:
    """Return the pair bound to its image's registry, or None when none was given."""
    if username is None and password is None:
        return None
    if username == "" and password == "":  # not half a pair: both are to be forgotten
        return None
    if not username or not password:
        missing = "user name" if not username else "password"
        raise InvalidRegistryCredentials(
            f"the private registry's {missing} is missing: give both "
            "--private-registry-username and --private-registry-password, or neither"
        )
    if reference is None and stored_image:
        reference = ImageReference.parse(stored_image)
    if reference is None:
        raise InvalidRegistryCredentials(
            "registry credentials belong to the registry of an image, and this app has none: "
            "give --docker-image with them"
        )
    return RegistryCredentials(reference.domain, username, password)


def changed_state(state: AppState, request: OperationRequest, changes: Changes) -> AppState:
    """Return the image and the git side of the app as the operation wants them."""
    state = replace(
        state,
        image=_changed(state.image, changes.image),
        credential_helper=_changed(state.credential_helper, changes.helper),
    )
    match request.source:
        case Source.KEEP:
            return state
        case Source.DETACH:
            return replace(state, pushed=None, detached=True)
        case Source.COMMIT:
            return replace(state, pushed=request.pushed, detached=False)


def _changed(stored: str | None, change: str | None) -> str | None:
    return stored if change is None else (change or None)


def changed_secrets(secrets: AppSecrets, changes: Changes) -> AppSecrets:
    """Return configuration and credentials as the operation wants them."""
    configuration = {**secrets.configuration, **changes.environment}
    credentials = None if changes.forget_credentials else secrets.credentials
    return AppSecrets(
        configuration={name: value for name, value in configuration.items() if value != ""},
        credentials=changes.credentials or credentials,
    )


def projected_state(
    state: AppState, waiting: Iterable[tuple[OperationRequest, Changes]]
) -> AppState:
    """Return the app as it will be if everything that waits succeeds (SPEC 3.8)."""
    for request, changes in waiting:
        state = changed_state(state, request, changes)
    return state
