"""Operations: asked for, watched, cancelled."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, StrictBool

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Page, Resource, collected, collection
from api.once import AskedOnce, Once
from api.operation_body import OperationBody
from api.operation_requests import Asked, read_operation
from enclave.app import App
from enclave.errors import Conflict, InvalidInput
from enclave.operation import Operation, OperationRequest
from enclave.people import Role, User

router = APIRouter(tags=["operations"])

_SEARCHED = 100  # so many operations of the app back those of a part of it are looked for


class OperationUpdate(BaseModel):
    """All that can be changed of an operation."""

    cancelled: StrictBool = False


@router.get("/apps/{app_id}/operations", response_model=shapes.Operations)
def list_operations(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's operations, newest first."""
    app = caller.app(app_id)
    operations = caller.store.operations
    shown = [
        render_operation(caller, app, operation)
        for operation in operations.operations(app_id, newest=page.size, skip=page.skip)
    ]
    address = caller.links.to("apps", app_id, "operations")
    return collection(address, "operations", shown, page=page, total=operations.count(app_id))


@router.post("/apps/{app_id}/operations", status_code=201, response_model=shapes.Operation)
def create_operation(app_id: int, body: OperationBody, caller: Caller, once: AskedOnce) -> Resource:
    """Queue an operation; 422 and none when it cannot be accepted."""
    caller.app(app_id)
    if made := once.earlier(caller):
        return show(caller, made)
    _, asked = read_operation(caller, app_id, body)
    return submit(caller, asked, once)


@router.get("/operations/{operation_id}", response_model=shapes.Operation)
def show_operation(operation_id: int, caller: Caller) -> Resource:
    """Show one operation."""
    return show(caller, caller.operation(operation_id))


@router.put("/operations/{operation_id}", response_model=shapes.Operation)
def update_operation(operation_id: int, body: OperationUpdate, caller: Caller) -> Resource:
    """Cancel an operation: at once while it waits, at its next safe point while it runs.

    Asked again, it answers the same; one that is past its point of no return is a conflict.
    """
    operation = caller.operation(operation_id, Role.DEPLOY)
    if not body.cancelled:
        raise InvalidInput('All that can be changed of an operation is {"cancelled": true}.')
    caller.store.operations.cancel(operation, by=caller.user, actor=caller.actor)
    operation = caller.store.operations.operation(operation_id)
    if not operation.cancelled:
        raise Conflict(
            f"Operation {operation.id} is past its point of no return: it {operation.status}."
        )
    return show(caller, operation)


def submit(caller: Call, asked: Asked, once: Once) -> Resource:
    """Queue what was asked for, or keep it for a visit, and return the operation.

    It is another request's if that was faster with the same key.
    """
    request, changes = asked
    operations = caller.store.operations
    take = operations.record if request.type.visits else operations.submit
    return show(caller, take(request, changes, once.key, actor=caller.actor))


def operations_on(
    caller: Call,
    app: App,
    about: Callable[[OperationRequest], bool],
    *,
    address: str,
    page: Page,
) -> Resource:
    """Return the app's operations on a part of it, newest first, among its last hundred."""
    newest = caller.store.operations.operations(app.id, newest=_SEARCHED)
    found = [operation for operation in newest if about(operation.request)]
    return collected(
        address, "operations", found, lambda each: render_operation(caller, app, each), page
    )


def updated_at(operation: Operation) -> str:
    """Return when the operation last changed its status."""
    return operation.ended_at or operation.started_at or operation.created_at


def render_operation(caller: Call, app: App, operation: Operation) -> Resource:
    """Return an operation as clients see it; what it changes is not told."""
    request, here = operation.request, ["operations", operation.id]
    return {
        "_type": "operation",
        "id": operation.id,
        "type": request.type,
        "status": operation.status,
        "cancelled": operation.cancelled,
        "git_ref": request.git_ref,
        "created_at": operation.created_at,
        "updated_at": updated_at(operation),
        "user_email": request.user_email,
        "_links": caller.links.hal(
            self=here,
            account=["accounts", app.environment_id],
            resource=_resource(caller, app, request),
            logs=[*here, "logs"],
            events=[*here, "events"],
            ssh_portal_connections=[*here, "ssh_portal_connections"],
        )
        | _user(caller, app, request),
    }


def show(caller: Call, operation: Operation) -> Resource:
    """Return any operation as clients see it."""
    return render_operation(caller, caller.app(operation.request.app_id), operation)


def _user(caller: Call, app: App, request: OperationRequest) -> dict[str, dict[str, str]]:
    """Link to who asked, unless they have left the environment: that link would lead nowhere.

    Nor is there a person to link to when a deploy key asked.
    """
    asker = User(request.user_id, request.user_email, "")
    known = asker.id == caller.user.id or caller.store.people.role(asker, app.environment_id)
    if not known:
        return {}
    return caller.links.hal(user=["users", asker.id])


def _resource(caller: Call, app: App, request: OperationRequest) -> list[object]:
    """Return the path of what the operation is about: an endpoint, a service that is, or the app.

    A service that vanished from the Procfile is no resource any more; its app is one.
    """
    if request.endpoint is not None:
        return ["vhosts", request.endpoint.id]
    if request.process_type is not None and app.state.service(request.process_type):
        number = caller.store.service_ids.number(request.app_id, request.process_type)
        return ["services", number]
    return ["apps", request.app_id]
