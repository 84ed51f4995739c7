"""Users: everyone sees themselves, and those who share an environment with them."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Caller
from api.hal import Resource
from enclave.access import visible_user

router = APIRouter(tags=["users"])


@router.get("/users/{user_id}", response_model=shapes.User)
def show_user(user_id: int, caller: Caller) -> Resource:
    """Show the caller, or somebody who shares an environment with the caller."""
    user = visible_user(caller.store, caller.principal, user_id)
    links = caller.links.hal(self=["users", user_id])
    if user_id == caller.user.id:
        links |= caller.links.hal(
            ssh_keys=["users", user_id, "ssh_keys"], tokens=["users", user_id, "tokens"]
        )
    return {
        "_type": "user",
        "id": user.id,
        "email": user.email,
        "name": user.email,
        "created_at": user.created_at,
        "_links": links,
    }
