"""Users: everyone sees themselves."""

from __future__ import annotations

from fastapi import APIRouter

from api.call import Caller
from api.hal import Resource

router = APIRouter(tags=["users"])


@router.get("/users/{user_id}")
def show_user(user_id: int, caller: Caller) -> Resource:
    """Show the caller."""
    caller.require_self(user_id)
    return {
        "_type": "user",
        "id": caller.user.id,
        "email": caller.user.email,
        "name": caller.user.email,
        "created_at": caller.user.created_at,
        "_links": caller.links.hal(
            self=["users", user_id],
            ssh_keys=["users", user_id, "ssh_keys"],
            tokens=["users", user_id, "tokens"],
        ),
    }
