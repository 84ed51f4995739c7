"""Apps: listed, found, created."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastapi import APIRouter
from pydantic import BaseModel

from api.call import Call, Caller, Paging
from api.configurations import has_configuration
from api.git_remote import git_remote
from api.hal import Resource, collected
from api.images import render_image
from api.operations import render_operation, updated_at
from api.services import render_services
from enclave.access import permitted_app_by_name, visible_apps, visible_environments
from enclave.app import App
from enclave.errors import AmbiguousHandle, NotFound
from enclave.operation import Operation, OperationType
from enclave.people import Role

router = APIRouter(tags=["apps"])

_DEPLOYS = frozenset([OperationType.DEPLOY])
_SEARCHED = 20  # so many operations back the last deploy is looked for


class _NewApp(BaseModel):
    handle: str


@router.get("/apps")
def list_apps(caller: Caller, page: Paging) -> Resource:
    """List the apps of every environment that the caller is a member of."""
    environments = visible_environments(caller.store, caller.principal)
    apps = [
        app for each in environments for app in visible_apps(caller.store, caller.principal, each)
    ]
    return collected(caller.links.to("apps"), "apps", apps, _renderer(caller), page)


@router.get("/accounts/{account_id}/apps")
def list_apps_of_account(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List the apps of one environment, by handle."""
    apps = visible_apps(caller.store, caller.principal, account_id)
    address = caller.links.to("accounts", account_id, "apps")
    return collected(address, "apps", apps, _renderer(caller), page)


@router.post("/accounts/{account_id}/apps", status_code=201)
def create_app(account_id: int, body: _NewApp, caller: Caller) -> Resource:
    """Create an app, pending until its first deploy."""
    environment = caller.environment(account_id, Role.ADMIN)
    return _app(caller, caller.store.apps.create(environment, body.handle, actor=caller.actor))


@router.get("/apps/{app_id}")
def show_app(app_id: int, caller: Caller) -> Resource:
    """Show one app."""
    return _app(caller, caller.app(app_id))


@router.get("/find/app")
def find_app(handle: str, caller: Caller, environment: str | None = None) -> Resource:
    """Find an app by its handle, and by its environment's where the handle is not enough."""
    if environment is not None:
        found = permitted_app_by_name(
            caller.store, caller.principal, environment, handle, Role.READ
        )
        return _app(caller, found)
    apps = list(_apps_named(caller, handle))
    if not apps:
        raise NotFound("there is no such app")
    if len(apps) > 1:
        environments = ", ".join(app.environment for app in apps)
        raise AmbiguousHandle(
            f"Several environments have an app {handle}: name one of {environments}."
        )
    return _app(caller, apps[0])


def _apps_named(caller: Call, handle: str) -> Iterator[App]:
    for environment_id in visible_environments(caller.store, caller.principal):
        environment = caller.store.apps.environment(environment_id)
        try:
            yield permitted_app_by_name(
                caller.store, caller.principal, environment.handle, handle, Role.READ
            )
        except NotFound:
            continue


def _renderer(caller: Call) -> Callable[[App], Resource]:
    return lambda app: _app(caller, app)


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
    last = newest[0] if newest else None
    if last is None or last.request.type in _DEPLOYS:
        return last, last
    recent = caller.store.operations.operations(app.id, newest=_SEARCHED)
    deploys = (each for each in recent if each.request.type in _DEPLOYS)
    return last, next(deploys, None)
