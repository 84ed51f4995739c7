"""Services: the process types of an app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictInt

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from api.images import docker_image
from enclave.access import permitted_service
from enclave.app import App, Service, ServiceSettings
from enclave.errors import NotFound
from enclave.people import Role

router = APIRouter(tags=["services"])

_MOST_STOP_SECONDS = 900
_INSTANCE_CLASS = "m"


class ServiceUpdate(BaseModel):
    """What can be changed of a service; other fields are ignored."""

    stop_timeout: Annotated[StrictInt, Field(ge=0, le=_MOST_STOP_SECONDS)] | None = None


@router.get("/services/{service_id}", response_model=shapes.Service)
def show_service(service_id: int, caller: Caller) -> Resource:
    """Show one live service."""
    return _one(caller, *live_service(caller, service_id, Role.READ))


@router.put("/services/{service_id}", response_model=shapes.Service)
def update_service(service_id: int, body: ServiceUpdate, caller: Caller) -> Resource:
    """Set how long the service's containers have to stop, in seconds; null for the default.

    It counts from its next containers on.
    """
    app, service = live_service(caller, service_id, Role.DEPLOY)
    if "stop_timeout" in body.model_fields_set:
        settings = ServiceSettings(stop_seconds=body.stop_timeout)
        caller.store.apps.set_service_settings(
            app.id, service.process_type, settings, actor=caller.actor
        )
    return _one(caller, app, service)


def live_service(caller: Call, service_id: int, role: Role) -> tuple[App, Service]:
    """Return a live service and its app, if the caller has that role.

    Raises ``NotFound`` or ``Forbidden``; ``NotFound`` also when its process type is gone.
    """
    app, process_type = permitted_service(caller.store, caller.principal, service_id, role)
    service = app.state.service(process_type)
    if service is None:
        raise NotFound("the app has no such service any more")
    return app, service


@router.get("/apps/{app_id}/services", response_model=shapes.Services)
def list_services(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's live services."""
    address = caller.links.to("apps", app_id, "services")
    shown = render_services(caller, caller.app(app_id))
    return collected(address, "services", shown, lambda service: service, page)


def render_services(caller: Call, app: App) -> list[Resource]:
    """Return every live service of the app, in the order of its Procfile."""
    image = docker_image(caller, app)
    settings = caller.store.apps.service_settings(app.id) if app.state.services else {}
    return [_service(caller, app, service, image, settings) for service in app.state.services]


def _one(caller: Call, app: App, service: Service) -> Resource:
    settings = caller.store.apps.service_settings(app.id)
    return _service(caller, app, service, docker_image(caller, app), settings)


def _service(
    caller: Call,
    app: App,
    service: Service,
    image: tuple[str | None, str | None],
    settings: Mapping[str, ServiceSettings],
) -> Resource:
    number = caller.store.service_ids.number(app.id, service.process_type)
    repository, digest = image
    here = ["services", number]
    return {
        "_type": "service",
        "id": number,
        "handle": service.process_type,
        "process_type": service.process_type,
        "command": service.command,
        "container_count": service.container_count,
        "container_memory_limit_mb": service.memory_mb,
        "instance_class": _INSTANCE_CLASS,
        "stop_timeout": settings.get(service.process_type, ServiceSettings()).stop_seconds,
        "docker_repo": repository,
        "docker_ref": digest,
        "created_at": app.created_at,
        "_links": caller.links.hal(
            self=here,
            account=["accounts", app.environment_id],
            app=["apps", app.id],
            operations=[*here, "operations"],
            vhosts=[*here, "vhosts"],
        ),
    }
