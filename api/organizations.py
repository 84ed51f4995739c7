"""Organizations: an installation is one; clients want it to exist."""

from __future__ import annotations

from fastapi import APIRouter

from api.call import Caller, Paging
from api.hal import Resource, collection
from enclave.errors import NotFound

router = APIRouter(tags=["organizations"])

ORGANIZATION = 1


@router.get("/organizations/{organization_id}")
def show_organization(organization_id: int, caller: Caller) -> Resource:
    """Show the one organization."""
    caller.common()
    if organization_id != ORGANIZATION:
        raise NotFound("there is no such organization")
    links = caller.links.hal(self=["organizations", ORGANIZATION])
    return {"_type": "organization", "id": ORGANIZATION, "name": "Enclave", "_links": links}


@router.get("/reauthenticate_organizations")
def list_organizations_to_log_in_again(caller: Caller, page: Paging) -> Resource:
    """Answer that nobody has to log in again; clients ask before every command."""
    caller.common()
    key = "reauthenticate_organizations"
    return collection(caller.links.to(key), key, [], page=page, total=0)
