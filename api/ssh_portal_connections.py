"""Connections to the log portal: a certificate for one operation (API.md, Log portal)."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from api.operation_requests import require_alive
from enclave.access import permitted_visit
from enclave.clock import seconds_since
from enclave.errors import Conflict
from enclave.operation import Operation, OperationType
from enclave.portal import Visit, certify

_VISITED_SECONDS = 3600

router = APIRouter(tags=["operations"])


class NewConnection(BaseModel):
    """The client's public key: one line, as its ``.pub`` file has it."""

    ssh_public_key: str


@router.get(
    "/operations/{operation_id}/ssh_portal_connections",
    response_model=shapes.SSHPortalConnections,
)
def list_connections(operation_id: int, caller: Caller, page: Paging) -> Resource:
    """List nothing: a connection is not kept. Its self link is where to ask for one."""
    operation = caller.operation(operation_id)
    address = caller.links.to("operations", operation.id, "ssh_portal_connections")
    nothing: list[Resource] = []
    return collected(address, "ssh_portal_connections", nothing, lambda each: each, page)


@router.post(
    "/operations/{operation_id}/ssh_portal_connections",
    status_code=201,
    response_model=shapes.SSHPortalConnection,
)
def create_connection(operation_id: int, body: NewConnection, caller: Caller) -> Resource:
    """Give a certificate that opens this operation at the portal, to the caller, for five minutes.

    Of an `execute` the connection is the container's terminal, so only who asked for it may have
    one; of others it is the log.
    """
    operation = _visited(caller, operation_id)
    visit = Visit(operation.id, caller.principal.token_id)
    return {
        "_type": "ssh_portal_connection",
        "ssh_user": visit.username,
        "ssh_pty": operation.request.type is OperationType.EXECUTE,
        "ssh_certificate_body": certify(caller.store.sealer, body.ssh_public_key, visit),
        "_links": caller.links.hal(operation=["operations", operation.id]),
    }


def _visited(caller: Call, operation_id: int) -> Operation:
    operation = permitted_visit(caller.store, caller.principal, operation_id)
    if operation.request.type.visits:
        require_alive(caller, caller.app(operation.request.app_id))
        if seconds_since(operation.created_at) > _VISITED_SECONDS:
            raise Conflict(
                f"Operation {operation.id} is over: it was there to be visited for an hour. "
                "Create another one."
            )
    return operation
