"""Vhosts: the API's word for endpoints. One is created pending; an operation provisions it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, StrictBool, StrictInt, StrictStr

from api import shapes
from api.call import Call, Caller, Paging
from api.certificates import domain_of, named_certificate
from api.hal import Resource, collected
from api.once import AskedOnce
from api.operation_body import OperationBody
from api.operation_requests import read_endpoint_operation, require_alive
from api.operations import operations_on, show, submit
from api.services import live_service
from api.vhost_changes import VhostChanges, latest
from enclave.access import permitted_endpoint
from enclave.app import App
from enclave.endpoint import Endpoint, EndpointStatus
from enclave.errors import InvalidEndpoint
from enclave.operation import OperationRequest
from enclave.people import Role

router = APIRouter(tags=["vhosts"])


class NewVhost(BaseModel):
    """The endpoint that is asked for; fields it does not know are ignored."""

    type: StrictStr = "http"
    default: StrictBool = False
    internal: StrictBool = False
    acme: StrictBool = False
    user_domain: StrictStr | None = None
    container_port: StrictInt | None = None
    ip_whitelist: list[StrictStr] | None = None
    certificate: StrictStr | StrictInt | None = None

    def check(self) -> None:
        """Refuse what no endpoint here can be; raises ``InvalidEndpoint``."""
        if self.type not in ("http", "http_proxy_protocol"):
            raise InvalidEndpoint(
                f"Endpoints here are of type 'http' (endpoints:https:create), not {self.type!r}."
            )
        if self.internal:
            raise InvalidEndpoint(
                "Internal endpoints are not available here: restrict one by --ip-whitelist."
            )
        if self.default and self.certificate is not None:
            raise InvalidEndpoint(
                "The default domain has the installation's own certificate: give no other one."
            )
        if self.acme:
            raise InvalidEndpoint(
                "Managed TLS is nothing an endpoint asks for here: leave it out where the operator "
                "has certificates got automatically; else give --certificate-file and "
                "--private-key-file."
            )


@router.get("/apps/{app_id}/vhosts", response_model=shapes.Vhosts)
def list_vhosts_of_app(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's endpoints, also those of services that are gone."""
    app = caller.app(app_id)
    address = caller.links.to("apps", app_id, "vhosts")
    return _listed(caller, app, caller.store.endpoints.of_app(app_id), address, page)


@router.get("/services/{service_id}/vhosts", response_model=shapes.Vhosts)
def list_vhosts(service_id: int, caller: Caller, page: Paging) -> Resource:
    """List the service's endpoints, oldest first."""
    app, service = live_service(caller, service_id, Role.READ)
    found = [
        (endpoint, status)
        for endpoint, status in caller.store.endpoints.of_app(app.id)
        if endpoint.process_type == service.process_type
    ]
    address = caller.links.to("services", service_id, "vhosts")
    return _listed(caller, app, found, address, page)


@router.post("/services/{service_id}/vhosts", status_code=201, response_model=shapes.Vhost)
def create_vhost(service_id: int, body: NewVhost, caller: Caller) -> Resource:
    """Create an endpoint of the service; it answers once an operation has provisioned it."""
    app, service = live_service(caller, service_id, Role.DEPLOY)
    require_alive(caller, app)
    body.check()
    domain, certificate = body.user_domain or None, None
    if body.certificate is not None:
        certificate = named_certificate(caller, app.environment_id, body.certificate)
        domain = domain_of(certificate, domain)
    endpoint = caller.store.endpoints.create(
        app.id,
        service.process_type,
        default=body.default,
        domain=domain,
        port=body.container_port,
        ip_whitelist=tuple(body.ip_whitelist or ()),
        certificate_id=certificate.id if certificate else None,
        actor=caller.actor,
    )
    return _vhost(caller, app, endpoint, EndpointStatus.PENDING)


@router.get("/vhosts/{vhost_id}", response_model=shapes.Vhost)
def show_vhost(vhost_id: int, caller: Caller) -> Resource:
    """Show one endpoint, as it is live."""
    app, endpoint, status = _endpoint(caller, vhost_id, Role.READ)
    return _vhost(caller, app, app.state.endpoint(vhost_id) or endpoint, status)


@router.put("/vhosts/{vhost_id}", response_model=shapes.Vhost)
def change_vhost(vhost_id: int, body: VhostChanges, caller: Caller) -> Resource:
    """Say what the endpoint shall be: its next ``provision`` makes it so, all at once.

    Until then, and if that fails, it goes on as it is, and is shown so; this answer alone shows
    what is wanted.
    """
    app, endpoint, status = _endpoint(caller, vhost_id, Role.DEPLOY)
    require_alive(caller, app)
    if status is EndpointStatus.DEPROVISIONED:
        raise InvalidEndpoint(f"Endpoint {vhost_id} is deprovisioned: create another one.")
    changed = body.changed(caller, app, latest(caller, app, endpoint))
    return _vhost(caller, app, caller.store.endpoints.wish(changed, actor=caller.actor), status)


@router.get("/vhosts/{vhost_id}/operations", response_model=shapes.Operations)
def list_vhost_operations(vhost_id: int, caller: Caller, page: Paging) -> Resource:
    """List the newest operations on the endpoint."""
    app, _, _ = _endpoint(caller, vhost_id, Role.READ)

    def about(request: OperationRequest) -> bool:
        return request.endpoint is not None and request.endpoint.id == vhost_id

    address = caller.links.to("vhosts", vhost_id, "operations")
    return operations_on(caller, app, about, address=address, page=page)


@router.post("/vhosts/{vhost_id}/operations", status_code=201, response_model=shapes.Operation)
def create_vhost_operation(
    vhost_id: int, body: OperationBody, caller: Caller, once: AskedOnce
) -> Resource:
    """Provision the endpoint, or deprovision it."""
    _endpoint(caller, vhost_id, Role.READ)
    if made := once.earlier(caller):
        return show(caller, made)
    app, endpoint, status = _endpoint(caller, vhost_id, Role.DEPLOY)
    asked = read_endpoint_operation(caller, app, endpoint, status, body)
    return submit(caller, asked, once)


def _endpoint(caller: Call, vhost_id: int, role: Role) -> tuple[App, Endpoint, EndpointStatus]:
    return permitted_endpoint(caller.store, caller.principal, vhost_id, role)


def _listed(
    caller: Call,
    app: App,
    found: list[tuple[Endpoint, EndpointStatus]],
    address: str,
    page: Paging,
) -> Resource:
    live = [(app.state.endpoint(each.id) or each, status) for each, status in found]
    return collected(address, "vhosts", live, lambda each: _vhost(caller, app, *each), page)


def _vhost(caller: Call, app: App, endpoint: Endpoint, status: EndpointStatus) -> Resource:
    """Return an endpoint with all that clients show of it (API.md)."""
    host, here = endpoint.host(caller.settings.domain), ["vhosts", endpoint.id]
    links = caller.links.hal(self=here, app=["apps", app.id], operations=[*here, "operations"])
    if app.state.service(endpoint.process_type):  # one that vanished is no resource any more
        number = caller.store.service_ids.number(app.id, endpoint.process_type)
        links |= caller.links.hal(service=["services", number])
    if endpoint.certificate_id is not None:
        links |= caller.links.hal(certificate=["certificates", endpoint.certificate_id])
    return {
        "_type": "vhost",
        "id": endpoint.id,
        "external_host": host,
        "virtual_domain": host,
        "status": status,
        "created_at": endpoint.created_at,
        "type": "http",
        "platform": "alb",
        "process_type": endpoint.process_type,
        "container_port": endpoint.port,
        "load_balancing_algorithm_type": "round_robin",
        "shared": False,
        "internal": False,
        "ip_whitelist": list(endpoint.ip_whitelist),
        "default": endpoint.default,
        "acme": False,
        "user_domain": endpoint.domain,
        "acme_dns_challenge_host": None,
        "acme_status": None,
        "current_setting": None,
        "_links": links,
    }
