"""The one place that says who may do what. Who may not touch an app can't learn that it exists.

Every endpoint of the API and every git conversation asks ``authorise``: who, about what, with which
role. What does not exist belongs to an environment in which nobody is, and takes the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from enclave.app import App, AppStatus
from enclave.certificate import Certificate
from enclave.endpoint import Endpoint, EndpointStatus
from enclave.errors import Forbidden, NotFound
from enclave.operation import Operation, OperationType
from enclave.people import Environment, Role, SSHKey, User
from enclave.principal import Principal, deploy_key_principal
from enclave.store import Store
from enclave.store.tokens import TokenRecord
from enclave.webhook import Webhook

T = TypeVar("T")

PROVED = "enclave.proved"
"""The key, in an HTTP request's scope, of what to call once it is known who asks (ASGI)."""

UNKNOWN = "There is no such resource, or you may not see it."

_NOWHERE = 0  # no environment, app or user has this number, nor NOBODY who has a deploy key


@dataclass(frozen=True, slots=True)
class OfInstallation:
    """What all share who have come in: the stack, the organization, their own lists."""


@dataclass(frozen=True, slots=True)
class OfUser:
    """A user's own: their record, keys and tokens."""

    user_id: int


@dataclass(frozen=True, slots=True)
class PersonOf:
    """Who a user is, None for nobody: those know who share an environment."""

    user: User | None


@dataclass(frozen=True, slots=True)
class OfToken:
    """One token of a user, which it may itself see and end."""

    user_id: int
    token_id: str


@dataclass(frozen=True, slots=True)
class NameOf:
    """That an environment exists, and its handle: part of the address of each of its apps."""

    environment_id: int


@dataclass(frozen=True, slots=True)
class OfEnvironment:
    """What belongs to an environment, and to no app of it."""

    environment_id: int


@dataclass(frozen=True, slots=True)
class OfApp:
    """An app of an environment, and all that belongs to it."""

    environment_id: int
    app_id: int


What = OfInstallation | OfUser | PersonOf | OfToken | NameOf | OfEnvironment | OfApp
"""What a request is about."""


def authorise(store: Store, principal: Principal, what: What, role: Role) -> None:
    """Return if the principal has at least ``role`` over it.

    Raises ``NotFound`` to a stranger, in the very words for what does not exist (invariant 7), and
    ``Forbidden`` to whoever may see it and has a lesser role.
    """
    has = _role_over(store, principal, what)
    if has is None:
        raise NotFound(UNKNOWN)
    if has.includes(role):
        return
    if not principal.scope.most.includes(role):
        raise Forbidden(
            f"This needs the role {role}; a token of the scope {principal.scope} gives "
            f"{principal.scope.most} at most."
        )
    raise Forbidden(f"This needs the role {role} in the environment; yours is {has}.")


def _role_over(store: Store, principal: Principal, what: What) -> Role | None:
    """Return the role of the user as far as the scope lets it through, None for a stranger."""
    scope = principal.scope
    match what:
        case OfInstallation():
            return Role.READ
        case PersonOf(user):
            return Role.READ if _knows(store, principal, user) else None
        case OfToken(token_id=token_id) if token_id and token_id == principal.token_id:
            return Role.ADMIN
        case OfUser(user_id) | OfToken(user_id):
            mine = user_id == principal.user.id and scope.app_id is None
            return scope.most if mine else None
        case NameOf(environment_id):
            inside = scope.app_id is None or environment_id == _home(store, scope.app_id)
        case OfEnvironment(environment_id):
            inside = scope.app_id is None
        case OfApp(environment_id, app_id):
            inside = scope.app_id in (None, app_id)
    return _role_in(store, principal, environment_id) if inside else None


def _role_in(store: Store, principal: Principal, environment_id: int) -> Role | None:
    scope = principal.scope
    if scope.environment_id is not None:
        return scope.most if environment_id == scope.environment_id else None
    has = store.people.role(principal.user, environment_id)
    return scope.most if has is not None and has.includes(scope.most) else has


def _knows(store: Store, principal: Principal, user: User | None) -> bool:
    """Whether that is the principal, or somebody who shares an environment with them."""
    if user is None or principal.scope.app_id is not None:
        return False
    people = store.people
    mine = people.environments_of(principal.user)
    return user.id == principal.user.id or bool({*mine} & {*people.environments_of(user)})


def _home(store: Store, app_id: int) -> int:
    """Return the environment of an app, ``_NOWHERE`` for one that is not."""
    app = _found(lambda: store.apps.app(app_id))
    return app.environment_id if app else _NOWHERE


def permitted_app(store: Store, principal: Principal, app_id: int, role: Role) -> App:
    """Return the app if the principal has at least ``role`` over it; raises as ``authorise``."""
    return _permitted(store, principal, _found(lambda: store.apps.app(app_id)), role)


def permitted_app_by_name(
    store: Store, principal: Principal, environment: str, app: str, role: Role
) -> App:
    """Return the app that a git remote names, like ``permitted_app``."""
    found = _found(lambda: store.apps.app_by_handle(environment, app))
    return _permitted(store, principal, found, role)


def permitted_operation(
    store: Store, principal: Principal, operation_id: int, role: Role
) -> Operation:
    """Return the operation if the principal has at least ``role`` over its app."""
    operation = _found(lambda: store.operations.operation(operation_id))
    permitted_app(store, principal, operation.request.app_id if operation else _NOWHERE, role)
    return _certain(operation)


def permitted_visit(store: Store, principal: Principal, operation_id: int) -> Operation:
    """Return the operation if the principal may visit it at the log portal.

    A log, and what containers print, is for whoever may see the app; a terminal for who asked for
    it, and still has the role to. Raises as ``authorise``.
    """
    operation = permitted_operation(store, principal, operation_id, Role.READ)
    if operation.request.type is not OperationType.EXECUTE:
        return operation
    if operation.request.user_id != principal.user.id:
        raise Forbidden("A terminal is for who asked for it: create an operation of your own.")
    return permitted_operation(store, principal, operation_id, Role.DEPLOY)


def permitted_service(
    store: Store, principal: Principal, service_id: int, role: Role
) -> tuple[App, str]:
    """Return the app and the process type of a service, live or not, like ``permitted_app``."""
    app_id, process_type = _found(lambda: store.service_ids.find(service_id)) or (_NOWHERE, "")
    return permitted_app(store, principal, app_id, role), process_type


def permitted_endpoint(
    store: Store, principal: Principal, endpoint_id: int, role: Role
) -> tuple[App, Endpoint, EndpointStatus]:
    """Return an endpoint with its app and its status, like ``permitted_app``."""
    found = _found(lambda: store.endpoints.endpoint(endpoint_id))
    app = permitted_app(store, principal, found[0].app_id if found else _NOWHERE, role)
    return app, *_certain(found)


def permitted_environment(
    store: Store, principal: Principal, environment_id: int, role: Role
) -> Environment:
    """Return the environment if the principal has at least ``role`` over all of it."""
    found = _found(lambda: store.apps.environment(environment_id))
    authorise(store, principal, OfEnvironment(found.id if found else _NOWHERE), role)
    return _certain(found)


def permitted_certificate(
    store: Store, principal: Principal, certificate_id: int, role: Role
) -> Certificate:
    """Return a certificate of an environment, like ``permitted_environment``."""
    found = _found(lambda: store.certificates.certificate(certificate_id))
    authorise(store, principal, OfEnvironment(found.environment_id if found else _NOWHERE), role)
    return _certain(found)


def permitted_webhook(store: Store, principal: Principal, webhook_id: int, role: Role) -> Webhook:
    """Return a webhook of an app, like ``permitted_app``."""
    app_id = _found(lambda: store.webhooks.app_id(webhook_id))
    permitted_app(store, principal, app_id or _NOWHERE, role)
    return store.webhooks.webhook(webhook_id)


def permitted_ssh_key(store: Store, principal: Principal, key_id: int, role: Role) -> SSHKey:
    """Return an SSH key of the principal's own, or of an environment of theirs.

    Raises as ``authorise``.
    """
    found = _found(lambda: store.people.key(key_id))
    what: What = OfUser(found.user_id if found else _NOWHERE)
    if found and found.environment_id is not None:
        what = OfEnvironment(found.environment_id)
    authorise(store, principal, what, role)
    return _certain(found)


def permitted_token(store: Store, principal: Principal, token_id: str, role: Role) -> TokenRecord:
    """Return one of the principal's own tokens; raises as ``authorise``."""
    found = _found(lambda: store.tokens.find(token_id))
    authorise(store, principal, OfToken(found.user_id if found else _NOWHERE, token_id), role)
    return _certain(found)


def key_holder(store: Store, fingerprint: str) -> Principal | None:
    """Return who has the SSH key of that fingerprint (``SHA256:…``), None for an unknown key."""
    key = store.people.key_by_fingerprint(fingerprint)
    if key is None:
        return None
    if key.environment_id is not None:
        return deploy_key_principal(key)
    return Principal(store.people.user(key.user_id), f"key {fingerprint}")


def visible_environment(store: Store, principal: Principal, environment_id: int) -> Environment:
    """Return the environment to whoever may read anything in it; raises ``NotFound``."""
    return _visible(store, principal, _found(lambda: store.apps.environment(environment_id)))


def visible_environment_by_name(store: Store, principal: Principal, handle: str) -> Environment:
    """Return the environment of that handle, like ``visible_environment``."""
    return _visible(store, principal, _found(lambda: store.apps.environment_by_handle(handle)))


def visible_environments(store: Store, principal: Principal) -> list[int]:
    """Return the ids of all environments that ``visible_environment`` shows, in order."""
    authorise(store, principal, OfInstallation(), Role.READ)
    mine, only = store.people.environments_of(principal.user), principal.scope.app_id
    return mine if only is None else [each for each in mine if each == _home(store, only)]


def visible_apps(
    store: Store, principal: Principal, environment_ids: Sequence[int], *, skip: int, size: int
) -> tuple[list[App], int]:
    """Return a page of the apps that the principal may read, and how many there are.

    They are those of environments that are visible to the principal, each by handle.
    """
    only = principal.scope.app_id
    if only is None:
        return store.apps.page(environment_ids, skip=skip, size=size)
    found = [
        app
        for app in store.apps.apps([only])
        if app.environment_id in environment_ids and app.status is not AppStatus.DEPROVISIONED
    ]
    return found[skip : skip + size], len(found)


def visible_apps_named(store: Store, principal: Principal, handle: str) -> list[App]:
    """Return the apps of that handle that the principal may read, one an environment at most."""
    environments, only = visible_environments(store, principal), principal.scope.app_id
    found = store.apps.apps(store.apps.index.named(environments, handle))
    return [app for app in found if only in (None, app.id)]


def visible_user(store: Store, principal: Principal, user_id: int) -> User:
    """Return a user to themselves, and to whoever shares an environment with them."""
    found = _found(lambda: store.people.user(user_id))
    authorise(store, principal, PersonOf(found), Role.READ)
    return _certain(found)


def _permitted(store: Store, principal: Principal, app: App | None, role: Role) -> App:
    what = OfApp(app.environment_id, app.id) if app else OfApp(_NOWHERE, _NOWHERE)
    authorise(store, principal, what, role)
    return _certain(app)


def _visible(store: Store, principal: Principal, found: Environment | None) -> Environment:
    authorise(store, principal, NameOf(found.id if found else _NOWHERE), Role.READ)
    return _certain(found)


def _found(look: Callable[[], T]) -> T | None:
    """Return what is looked for, None for what does not exist: ``authorise`` says so, not we."""
    try:
        return look()
    except NotFound:
        return None


def _certain(found: T | None) -> T:
    """Return what was authorised; nobody is authorised to what does not exist."""
    if found is None:
        raise NotFound(UNKNOWN)
    return found
