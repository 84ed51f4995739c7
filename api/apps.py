"""Apps: listed, found, created."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel

from api import shapes
from api.call import Call, Caller, Paging
from api.configurations import has_configuration
from api.git_remote import git_remote
from api.hal import Page, Resource, collection
from api.images import render_image
from api.operation_requests import require_alive
from api.operations import render_operation, updated_at
from api.services import render_services
from enclave.access import (
    permitted_app_by_name,
    visible_apps,
    visible_apps_named,
    visible_environment,
    visible_environments,
)
from enclave.app import App
from enclave.errors import AmbiguousHandle, NotFound
from enclave.operation import Operation
from enclave.people import Role

router = APIRouter(tags=["apps"])


class NewApp(BaseModel):
    """The app that is asked for."""

    handle: str


class AppUpdate(BaseModel):
    """What can be changed of an app; other fields are ignored."""

    handle: str


@router.get("/apps", response_model=shapes.Apps)
def list_apps(caller: Caller, page: Paging) -> Resource:
    """List the apps of every environment that the caller is a member of."""
    environments = visible_environments(caller.store, caller.principal)
    return _page(caller, environments, caller.links.to("apps"), page)


@router.get("/accounts/{account_id}/apps", response_model=shapes.Apps)
def list_apps_of_account(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List the apps of one environment, by handle."""
    visible_environment(caller.store, caller.principal, account_id)
    return _page(caller, [account_id], caller.links.to("accounts", account_id, "apps"), page)


@router.post("/accounts/{account_id}/apps", status_code=201, response_model=shapes.App)
def create_app(account_id: int, body: NewApp, caller: Caller) -> Resource:
    """Create an app, pending until its first deploy."""
    environment = caller.environment(account_id, Role.ADMIN)
    return _app(caller, caller.store.apps.create(environment, body.handle, actor=caller.actor))


@router.get("/apps/{app_id}", response_model=shapes.App)
def show_app(app_id: int, caller: Caller) -> Resource:
    """Show one app."""
    return _app(caller, caller.app(app_id))


@router.put("/apps/{app_id}", response_model=shapes.App)
def update_app(app_id: int, body: AppUpdate, caller: Caller) -> Resource:
    """Rename the app. Its git remote has the new name at once, its containers from a restart on."""
    app = caller.app(app_id, Role.ADMIN)
    require_alive(caller, app)
    return _app(caller, caller.store.apps.rename(app, body.handle, actor=caller.actor))


@router.get("/find/app", response_model=shapes.App)
def find_app(handle: str, caller: Caller, environment: str | None = None) -> Resource:
    """Find an app by its handle, and by its environment's where the handle is not enough."""
    if environment is not None:
        found = permitted_app_by_name(
            caller.store, caller.principal, environment, handle, Role.READ
        )
        return _app(caller, found)
    apps = visible_apps_named(caller.store, caller.principal, handle)
    if not apps:
        raise NotFound("there is no such app")
    if len(apps) > 1:
        places = ", ".join(app.environment for app in apps)
        raise AmbiguousHandle(f"Several environments have an app {handle}: name one of {places}.")
    return _app(caller, apps[0])


def _page(caller: Call, environments: Sequence[int], address: str, page: Page) -> Resource:
    apps, total = visible_apps(
        caller.store, caller.principal, environments, skip=page.skip, size=page.size
    )
    shown = [_app(caller, app) for app in apps]
    return collection(address, "apps", shown, page=page, total=total)


def _app(caller: Call, app: App) -> Resource:
    """Return the app with all that clients expect to find in it, ``no_embed`` or not (API.md)."""
    last, last_deploy = _last_operations(caller, app)
    here = ["apps", app.id]
    links = caller.links.hal(
        self=here,
        account=["accounts", app.environment_id],
        operations=[*here, "operations"],
        services=[*here, "services"],
        configurations=[*here, "configurations"],
        images=[*here, "images"],
        releases=[*here, "releases"],
        vhosts=[*here, "vhosts"],
        webhooks=[*here, "webhooks"],
        log_events=[*here, "logs", "events"],
        activity=[*here, "activity"],
    )
    if has_configuration(caller, app.id):
        links |= caller.links.hal(current_configuration=["configurations", app.id])
    return {
        "_type": "app",
        "id": app.id,
        "handle": app.handle,
        "git_repo": git_remote(caller.settings, app),
        "status": app.status,
        "deployment_method": "docker_image" if app.state.image else "git",
        "created_at": app.created_at,
        "updated_at": updated_at(last) if last else app.created_at,
        "_embedded": {
            "services": render_services(caller, app),
            "current_image": render_image(caller, app),
            "last_operation": last and render_operation(caller, app, last),
            "last_deploy_operation": last_deploy and render_operation(caller, app, last_deploy),
        },
        "_links": links,
    }


def _last_operations(caller: Call, app: App) -> tuple[Operation | None, Operation | None]:
    """Return the newest operation and the newest deploy."""
    newest = caller.store.operations.operations(app.id, newest=1)
    return newest[0] if newest else None, caller.store.operations.last_deploy(app.id)
