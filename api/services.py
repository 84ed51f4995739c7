"""Services: the process types of an app."""

from __future__ import annotations

from fastapi import APIRouter

from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from api.images import docker_image
from enclave.app import App, Service
from enclave.errors import NotFound

router = APIRouter(tags=["services"])

_MEMORY_MB = 1024
_INSTANCE_CLASS = "m"


@router.get("/services/{service_id}")
def show_service(service_id: int, caller: Caller) -> Resource:
    """Show one live service."""
    app_id, process_type = caller.store.service_ids.find(service_id)
    app = caller.app(app_id)
    service = app.state.service(process_type)
    if service is None:
        raise NotFound("the app has no such service any more")
    return _service(caller, app, service, docker_image(caller, app))


@router.get("/apps/{app_id}/services")
def list_services(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's live services."""
    address = caller.links.to("apps", app_id, "services")
    shown = render_services(caller, caller.app(app_id))
    return collected(address, "services", shown, lambda service: service, page)


def render_services(caller: Call, app: App) -> list[Resource]:
    """Return every live service of the app, in the order of its Procfile."""
    image = docker_image(caller, app)
    return [_service(caller, app, service, image) for service in app.state.services]


def _service(
    caller: Call, app: App, service: Service, image: tuple[str | None, str | None]
) -> Resource:
    number = caller.store.service_ids.number(app.id, service.process_type)
    repository, digest = image
    return {
        "_type": "service",
        "id": number,
        "handle": service.process_type,
        "process_type": service.process_type,
        "command": service.command,
        "container_count": service.container_count,
        "container_memory_limit_mb": _MEMORY_MB,
        "instance_class": _INSTANCE_CLASS,
        "docker_repo": repository,
        "docker_ref": digest,
        "created_at": app.created_at,
        "_links": caller.links.hal(self=["services", number], app=["apps", app.id]),
    }
