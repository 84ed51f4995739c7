"""Users: everyone sees themselves."""

from __future__ import annotations

from fastapi import APIRouter

from api.call import Call, Caller
from api.hal import Resource
from enclave.errors import NotFound

router = APIRouter(tags=["users"])


def require_self(caller: Call, user_id: int) -> None:
    """Return if the caller is that user; raises ``NotFound``, as for a user that is not."""
    if caller.user.id != user_id:
        raise NotFound("there is no such user")


@router.get("/users/{user_id}")
def show_user(user_id: int, caller: Caller) -> Resource:
    """Show the caller."""
    require_self(caller, user_id)
    return {
        "_type": "user",
        "id": caller.user.id,
        "email": caller.user.email,
        "name": caller.user.email,
        "created_at": caller.user.created_at,
        "_links": caller.links.hal(
            self=["users", user_id], ssh_keys=["users", user_id, "ssh_keys"]
        ),
    }
