"""What is asked of an app becomes an operation, checked as it is queued (SPEC 3 and 6.6).

What waits already is counted in; the same is checked again when the operation starts (SPEC 3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from api.call import Call
from api.operation_body import OperationBody
from enclave.app import App, AppStatus
from enclave.changes import Changes, changed_state
from enclave.endpoint import Endpoint, EndpointStatus
from enclave.errors import InvalidInput, NotFound, NothingToDeploy
from enclave.operation import ZERO_ID, OperationRequest, OperationType, Source
from enclave.people import Role
from enclave.release_status import check_not_expired
from hooks.commitish import resolve

_NOTHING = "You need to deploy either from git or a Docker image"

Asked = tuple[OperationRequest, Changes]
"""An operation that can be accepted: what is asked, and what it changes."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Who may ask for a type of operation, and how its body is read."""

    role: Role
    read: Callable[[Call, App, OperationBody], Asked]


def read_operation(caller: Call, app_id: int, body: OperationBody) -> tuple[App, Asked]:
    """Return the app and the operation that the body asks for on it.

    Raises ``NotFound`` or ``Forbidden`` as the role of its type asks, and a kind of
    ``InvalidInput`` when it cannot be accepted.
    """
    kind = _KINDS.get(body.type)
    if kind is None:
        caller.app(app_id, Role.DEPLOY)
        raise InvalidInput(f"Operations of type {body.type!r} are not available here yet.")
    app = caller.app(app_id, kind.role)
    require_alive(caller, app)
    return app, kind.read(caller, app, body)


def read_scale(caller: Call, app: App, process_type: str, body: OperationBody) -> Asked:
    """Return the operation that a body asks for on a service; raises a kind of ``InvalidInput``."""
    require_alive(caller, app)
    if body.type != OperationType.SCALE:
        raise _only_on(body.type, "a service", [OperationType.SCALE])
    changes = body.sizes()
    if changes.container_count is None and changes.container_size is None:
        raise InvalidInput("A scale says container_count, container_size or both.")
    _require_deployed(caller, app, body.type)
    return replace(_request(caller, app, OperationType.SCALE), process_type=process_type), changes


def read_endpoint_operation(
    caller: Call, app: App, endpoint: Endpoint, status: EndpointStatus, body: OperationBody
) -> Asked:
    """Return the operation that a body asks for on an endpoint; raises ``InvalidInput``."""
    require_alive(caller, app)
    known = [OperationType.PROVISION, OperationType.DEPROVISION]
    if body.type not in known:
        raise _only_on(body.type, "an endpoint", known)
    if status is EndpointStatus.DEPROVISIONED:
        raise InvalidInput(f"Endpoint {endpoint.id} is deprovisioned: create another one.")
    type_ = OperationType(body.type)
    if type_ is OperationType.PROVISION:
        _require_deployed(caller, app, type_)
    return replace(_request(caller, app, type_), endpoint=endpoint), Changes()


def require_alive(caller: Call, app: App) -> None:
    """Refuse an app that is deprovisioned, or will be by what waits; raises ``InvalidInput``."""
    if app.status is AppStatus.DEPROVISIONED:
        raise InvalidInput(f"The app {app.name} is deprovisioned: nothing more can be done to it.")
    for operation in caller.store.operations.unfinished(app.id):
        if _ends_app(operation.request):
            raise InvalidInput(
                f"The app {app.name} is about to be deprovisioned by operation {operation.id}: "
                f"cancel that first (aptible operation:cancel {operation.id})."
            )


def _ends_app(request: OperationRequest) -> bool:
    return request.type is OperationType.DEPROVISION and request.endpoint is None


def _only_on(given: str, what: str, known: Iterable[OperationType]) -> InvalidInput:
    return InvalidInput(f"Operations on {what} are {' and '.join(known)}, not {given!r}.")


def _request(caller: Call, app: App, type_: OperationType) -> OperationRequest:
    return OperationRequest(app.id, type_, caller.user.id, caller.user.email)


def _require_deployed(caller: Call, app: App, what: str) -> None:
    """Refuse what needs a live release, unless a deploy that waits will make one."""
    if app.state.release is not None:
        return
    waiting = caller.store.operations.unfinished(app.id)
    if not any(each.request.type is OperationType.DEPLOY for each in waiting):
        raise InvalidInput(
            f"The app {app.name} was never deployed, so there is nothing to {what}: "
            "deploy it first (aptible deploy, or git push)."
        )


def _read_deploy(caller: Call, app: App, body: OperationBody) -> Asked:
    projected = caller.store.projected(app)
    sizes = body.sizes()
    changes = replace(
        body.changes(projected),
        container_count=sizes.container_count,
        container_size=sizes.container_size,
    )
    request = _with_source(
        caller, app, _request(caller, app, OperationType.DEPLOY), body.git_ref or ""
    )
    wanted = changed_state(projected, request, changes)
    if wanted.image is None and wanted.pushed is None:
        raise NothingToDeploy(_NOTHING)
    if wanted.image is None and wanted.pushed is not None and not wanted.pushed.dockerfile:
        raise NothingToDeploy(
            f"{_NOTHING}: commit {wanted.pushed.commit[:8]} has no Dockerfile, and the app has no "
            "image. Give --docker-image, or push a Dockerfile"
        )
    return request, changes


def _with_source(
    caller: Call, app: App, request: OperationRequest, git_ref: str
) -> OperationRequest:
    if not git_ref:
        return request
    if git_ref == ZERO_ID:
        return replace(request, source=Source.DETACH)
    repository = caller.settings.repository(app.id)
    pushed = resolve(caller.store, repository, app, git_ref)
    return replace(request, source=Source.COMMIT, pushed=pushed)


def _read_restart(caller: Call, app: App, _body: OperationBody) -> Asked:
    _require_deployed(caller, app, OperationType.RESTART)
    return _request(caller, app, OperationType.RESTART), Changes()


def _read_rebuild(caller: Call, app: App, _body: OperationBody) -> Asked:
    _require_deployed(caller, app, OperationType.REBUILD)
    return _request(caller, app, OperationType.REBUILD), Changes()


def _read_configure(caller: Call, app: App, body: OperationBody) -> Asked:
    """Read changes of variables; on an app that was never deployed they are only stored."""
    changes = body.changes(caller.store.projected(app))
    if changes == Changes():
        raise InvalidInput("Nothing is to be configured: name at least one variable.")
    return _request(caller, app, OperationType.CONFIGURE), changes


def _read_service_scale(_caller: Call, _app: App, _body: OperationBody) -> Asked:
    raise InvalidInput("A scale is asked for at the operations of a service, not of its app.")


def _read_rollback(caller: Call, app: App, body: OperationBody) -> Asked:
    """Read which release to go back to.

    The request carries commit and image of that release, so that what is queued behind it is
    checked against the app as it will be.
    """
    if body.release is None:
        raise InvalidInput("A rollback says to which release: its number as aptible releases has.")
    _require_deployed(caller, app, OperationType.ROLLBACK)
    try:
        release = caller.store.apps.release(app.id, body.release)
    except NotFound as error:
        raise InvalidInput(
            f"The app {app.name} has no release {body.release}: see aptible releases."
        ) from error
    through = caller.store.images.expired_through(app.id)
    check_not_expired(release, live=app.state.release, expired_through=through)
    request = replace(
        _request(caller, app, OperationType.ROLLBACK),
        release=release.number,
        source=Source.DETACH if release.detached else Source.COMMIT,
        pushed=None if release.detached else release.pushed,
    )
    return request, Changes(image=release.image)


def _read_deprovision(caller: Call, app: App, _body: OperationBody) -> Asked:
    return _request(caller, app, OperationType.DEPROVISION), Changes()


def _read_execute(caller: Call, app: App, body: OperationBody) -> Asked:
    """Read the command of a terminal, which gets a container of its own when it is visited."""
    if not (command := (body.command or "").strip()):
        raise InvalidInput('An execute says which command: {"type": "execute", "command": "ls"}.')
    if "\0" in command:
        raise InvalidInput("The command holds a NUL, which no command can.")
    _require_live(app, OperationType.EXECUTE)
    return _request(caller, app, OperationType.EXECUTE), Changes(command=command)


def _read_logs(caller: Call, app: App, _body: OperationBody) -> Asked:
    _require_live(app, OperationType.LOGS)
    return _request(caller, app, OperationType.LOGS), Changes()


def _require_live(app: App, what: str) -> None:
    if app.state.release is None:
        raise InvalidInput(
            f"The app {app.name} was never deployed, so no {what} can be visited: "
            "deploy it first (aptible deploy, or git push)."
        )


_KINDS: dict[str, _Kind] = {
    OperationType.DEPLOY: _Kind(Role.DEPLOY, _read_deploy),
    OperationType.RESTART: _Kind(Role.DEPLOY, _read_restart),
    OperationType.REBUILD: _Kind(Role.DEPLOY, _read_rebuild),
    OperationType.CONFIGURE: _Kind(Role.DEPLOY, _read_configure),
    OperationType.SCALE: _Kind(Role.DEPLOY, _read_service_scale),
    OperationType.ROLLBACK: _Kind(Role.DEPLOY, _read_rollback),
    OperationType.DEPROVISION: _Kind(Role.ADMIN, _read_deprovision),
    OperationType.EXECUTE: _Kind(Role.DEPLOY, _read_execute),
    OperationType.LOGS: _Kind(Role.READ, _read_logs),
}
