"""Operations on one service: it is scaled."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Caller, Paging
from api.hal import Resource
from api.once import AskedOnce
from api.operation_body import OperationBody
from api.operation_requests import read_scale
from api.operations import operations_on, show, submit
from api.services import live_service
from enclave.access import permitted_service
from enclave.operation import OperationRequest
from enclave.people import Role

router = APIRouter(tags=["services"])


@router.get("/services/{service_id}/operations", response_model=shapes.Operations)
def list_service_operations(service_id: int, caller: Caller, page: Paging) -> Resource:
    """List the newest operations on the service."""
    app, service = live_service(caller, service_id, Role.READ)

    def about(request: OperationRequest) -> bool:
        return request.process_type == service.process_type

    address = caller.links.to("services", service_id, "operations")
    return operations_on(caller, app, about, address=address, page=page)


@router.post("/services/{service_id}/operations", status_code=201, response_model=shapes.Operation)
def create_service_operation(
    service_id: int, body: OperationBody, caller: Caller, once: AskedOnce
) -> Resource:
    """Scale the service: another count of containers, or another size."""
    permitted_service(caller.store, caller.principal, service_id, Role.READ)
    if made := once.earlier(caller):
        return show(caller, made)
    app, service = live_service(caller, service_id, Role.DEPLOY)
    asked = read_scale(caller, app, service.process_type, body)
    return submit(caller, asked, once)
