"""Activity: who changed what, when and from where, in an app or a whole environment."""

from __future__ import annotations

from fastapi import APIRouter

from api.call import Call, Caller, Paging
from api.hal import Links, Page, Resource, collection
from enclave.activity import Activity
from enclave.clock import iso
from enclave.store.activity import Kept

router = APIRouter(tags=["activity"])


@router.get("/apps/{app_id}/activity")
def list_activity_of_app(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List what was changed of the app, newest first, as far back as it is kept."""
    caller.app(app_id)
    return _listed(caller, ["apps", app_id], caller.store.activities.of_app(app_id), page)


@router.get("/accounts/{account_id}/activity")
def list_activity_of_account(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List what was changed of the environment and its apps, newest first, as far as it is kept."""
    caller.environment(account_id)
    kept = caller.store.activities.of_environment(account_id)
    return _listed(caller, ["accounts", account_id], kept, page)


def _listed(caller: Call, owner: list[object], kept: Kept, page: Page) -> Resource:
    return collection(
        caller.links.to(*owner, "activity"),
        "activities",
        [_activity(caller.links, each) for each in kept.newest(page.size, skip=page.skip)],
        page=page,
        total=kept.count(),
    )


def _activity(links: Links, entry: Activity) -> Resource:
    """Return one change. It has no address of its own: it is read in its list."""
    related: dict[str, list[object]] = {}
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
