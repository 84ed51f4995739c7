"""Users: everyone sees themselves, and whom they share an environment with."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Call, Caller
from api.hal import Resource
from enclave.errors import NotFound
from enclave.people import User

router = APIRouter(tags=["users"])


def require_self(caller: Call, user_id: int) -> None:
    """Return if the caller is that user; raises ``NotFound``, as for a user that is not."""
    if caller.user.id != user_id:
        raise NotFound("there is no such user")


@router.get("/users/{user_id}", response_model=shapes.User)
def show_user(user_id: int, caller: Caller) -> Resource:
    """Show the caller, or somebody who shares an environment with the caller."""
    user = caller.user
    if user_id != user.id:
        user = caller.store.people.user(user_id)
        if not _share_an_environment(caller, user):
            raise NotFound("there is no such user")
    links = caller.links.hal(self=["users", user_id])
    if user_id == caller.user.id:
        links |= caller.links.hal(ssh_keys=["users", user_id, "ssh_keys"])
    return {
        "_type": "user",
        "id": user.id,
        "email": user.email,
        "name": user.email,
        "created_at": user.created_at,
        "_links": links,
    }


def _share_an_environment(caller: Call, user: User) -> bool:
    people = caller.store.people
    return bool({*people.environments_of(caller.user)} & {*people.environments_of(user)})
