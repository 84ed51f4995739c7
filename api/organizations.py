"""Organizations: an installation is one; clients want it to exist."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected, collection
from enclave.errors import NotFound

router = APIRouter(tags=["organizations"])

ORGANIZATION = 1


@router.get("/organizations", response_model=shapes.Organizations)
def list_organizations(caller: Caller, page: Paging) -> Resource:
    """List the one organization."""
    caller.common()
    address, one = caller.links.to("organizations"), [ORGANIZATION]
    return collected(address, "organizations", one, lambda _: _organization(caller), page)


@router.get("/organizations/{organization_id}", response_model=shapes.Organization)
def show_organization(organization_id: int, caller: Caller) -> Resource:
    """Show the one organization."""
    caller.common()
    if organization_id != ORGANIZATION:
        raise NotFound("there is no such organization")
    return _organization(caller)


@router.get("/reauthenticate_organizations", response_model=shapes.ReauthenticateOrganizations)
def list_organizations_to_log_in_again(caller: Caller, page: Paging) -> Resource:
    """Answer that nobody has to log in again; clients ask before every command."""
    caller.common()
    key = "reauthenticate_organizations"
    return collection(caller.links.to(key), key, [], page=page, total=0)


def _organization(caller: Call) -> Resource:
    links = caller.links.hal(self=["organizations", ORGANIZATION], accounts=["accounts"])
    return {"_type": "organization", "id": ORGANIZATION, "name": "Enclave", "_links": links}
