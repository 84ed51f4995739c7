"""Activity: who changed what, when and from where, in an app or a whole environment."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Caller, Paging
from api.hal import Links, Page, Resource, collection
from enclave.activity import Activity
from enclave.clock import iso
from enclave.store.activity import Kept

router = APIRouter(tags=["activity"])


@router.get("/apps/{app_id}/activity", response_model=shapes.Activities)
def list_activity_of_app(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List what was changed of the app, newest first, as far back as it is kept."""
    caller.app(app_id)
    kept = caller.store.activities.of_app(app_id)
    return _listed(caller.links, ["apps", app_id, "activity"], kept, page)


@router.get("/apps/{app_id}/activity/{entry_id}", response_model=shapes.Activity)
def show_activity_of_app(app_id: int, entry_id: str, caller: Caller) -> Resource:
    """Show one change of the app."""
    caller.app(app_id)
    entry = caller.store.activities.of_app(app_id).entry(entry_id)
    return _activity(caller.links, ["apps", app_id, "activity"], entry)


@router.get("/accounts/{account_id}/activity", response_model=shapes.Activities)
def list_activity_of_account(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List what was changed of the environment and its apps, newest first, as far as it is kept."""
    caller.environment(account_id)
    kept = caller.store.activities.of_environment(account_id)
    return _listed(caller.links, ["accounts", account_id, "activity"], kept, page)


@router.get("/accounts/{account_id}/activity/{entry_id}", response_model=shapes.Activity)
def show_activity_of_account(account_id: int, entry_id: str, caller: Caller) -> Resource:
    """Show one change of the environment, or of an app of it."""
    caller.environment(account_id)
    entry = caller.store.activities.of_environment(account_id).entry(entry_id)
    return _activity(caller.links, ["accounts", account_id, "activity"], entry)


def _listed(links: Links, here: list[object], kept: Kept, page: Page) -> Resource:
    found = kept.newest(page.size, skip=page.skip)
    shown = [_activity(links, here, each) for each in found]
    return collection(links.to(*here), "activity", shown, page=page, total=kept.count())


def _activity(links: Links, here: list[object], entry: Activity) -> Resource:
    related: dict[str, list[object]] = {"self": [*here, entry.id]}
    if entry.app_id is not None:
        related["app"] = ["apps", entry.app_id]
    if entry.operation_id is not None:
        related["operation"] = ["operations", entry.operation_id]
    return {
        "_type": "activity",
        "id": entry.id,
        "action": entry.action,
        "about": entry.about,
        "created_at": iso(entry.seconds),
        "user_email": entry.actor.email,
        "proof": entry.actor.proof,
        "remote_address": entry.actor.source,
        "user_agent": entry.actor.agent,
        "_links": links.hal(**related),
    }
