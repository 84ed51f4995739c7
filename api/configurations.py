"""Configurations: an app's environment variables. An app has one; it is known by the app's id."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected

router = APIRouter(tags=["configurations"])


@router.get("/configurations/{configuration_id}", response_model=shapes.Configuration)
def show_configuration(configuration_id: int, caller: Caller) -> Resource:
    """Show the live variables of an app; the configuration's id is the app's."""
    caller.app(configuration_id)
    return _configuration(caller, configuration_id)


@router.get("/apps/{app_id}/configurations", response_model=shapes.Configurations)
def list_configurations(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's configuration, if it has one."""
    caller.app(app_id)
    address = caller.links.to("apps", app_id, "configurations")
    ids = [app_id] if has_configuration(caller, app_id) else []
    return collected(
        address, "configurations", ids, lambda number: _configuration(caller, number), page
    )


def has_configuration(caller: Call, app_id: int) -> bool:
    """Whether the app has variables."""
    return bool(caller.store.apps.secrets(app_id).configuration)


def _configuration(caller: Call, app_id: int) -> Resource:
    return {
        "_type": "configuration",
        "id": app_id,
        "env": caller.store.apps.secrets(app_id).configuration,
        "_links": caller.links.hal(self=["configurations", app_id], app=["apps", app_id]),
    }
