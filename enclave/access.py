"""The one place that says who may do what. Who may not touch an app can't learn that it exists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from enclave.app import App
from enclave.errors import Forbidden, NotFound
from enclave.operation import Operation
from enclave.people import Environment, Role, User
from enclave.store import Store

PROVED = "enclave.proved"
"""The key, in an HTTP request's scope, of what to call once it is known who asks (ASGI)."""


def permit(store: Store, user: User, environment_id: int, role: Role) -> None:
    """Return if the user has at least ``role`` in the environment.

    Raises ``NotFound`` to a stranger, in the very words for what does not exist (invariant 7), and
    ``Forbidden`` to a member with a lesser role.
    """
    has = store.people.role(user, environment_id)
    if has is None:
        raise NotFound(_UNKNOWN)
    if not has.includes(role):
        raise Forbidden(f"This needs the role {role} in the environment; yours is {has}.")


def permitted_app(store: Store, user: User, app_id: int, role: Role) -> App:
    """Return the app if the user has at least ``role`` in its environment; raises as ``permit``."""
    with _unknown_like_foreign():
        app = store.apps.app(app_id)
    permit(store, user, app.environment_id, role)
    return app


def permitted_app_by_name(store: Store, user: User, environment: str, app: str, role: Role) -> App:
    """Return the app that a git remote names, like ``permitted_app``."""
    with _unknown_like_foreign():
        found = store.apps.app_by_handle(environment, app)
    permit(store, user, found.environment_id, role)
    return found


def permitted_environment(store: Store, user: User, environment_id: int, role: Role) -> Environment:
    """Return the environment if the user has at least ``role`` in it; raises as ``permit``."""
    with _unknown_like_foreign():
        environment = store.apps.environment(environment_id)
    permit(store, user, environment_id, role)
    return environment


def permitted_environment_by_name(store: Store, user: User, handle: str, role: Role) -> Environment:
    """Return the environment of that handle, like ``permitted_environment``."""
    with _unknown_like_foreign():
        environment = store.apps.environment_by_handle(handle)
    permit(store, user, environment.id, role)
    return environment


def permitted_operation(store: Store, user: User, operation_id: int, role: Role) -> Operation:
    """Return the operation if the user has at least ``role`` over its app; raises as ``permit``."""
    with _unknown_like_foreign():
        operation = store.operations.operation(operation_id)
    permitted_app(store, user, operation.request.app_id, role)
    return operation


_UNKNOWN = "There is no such resource, or you may not see it."


@contextmanager
def _unknown_like_foreign() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise NotFound(_UNKNOWN) from error
