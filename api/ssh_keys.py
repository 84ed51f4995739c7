"""SSH keys: what a user pushes with."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api import shapes
from api.call import Caller, Paging
from api.hal import Links, Resource, collected
from api.users import require_self
from enclave.errors import NotFound
from enclave.people import SSHKey

router = APIRouter(tags=["ssh_keys"])


class NewSSHKey(BaseModel):
    """One line of a ``.pub`` file."""

    ssh_public_key: str = Field(max_length=16_384)
    name: str = Field("", max_length=100)


@router.get("/users/{user_id}/ssh_keys", response_model=shapes.SSHKeys)
def list_ssh_keys(user_id: int, caller: Caller, page: Paging) -> Resource:
    """List the caller's keys, oldest first."""
    require_self(caller, user_id)
    address = caller.links.to("users", user_id, "ssh_keys")
    keys = caller.store.people.keys_of(caller.user)
    return collected(address, "ssh_keys", keys, lambda key: _ssh_key(caller.links, key), page)


@router.post("/users/{user_id}/ssh_keys", status_code=201, response_model=shapes.SSHKey)
def create_ssh_key(user_id: int, body: NewSSHKey, caller: Caller) -> Resource:
    """Add a key to the caller's."""
    require_self(caller, user_id)
    key = caller.store.people.add_key(caller.user, body.ssh_public_key, body.name)
    return _ssh_key(caller.links, key)


@router.get("/ssh_keys/{key_id}", response_model=shapes.SSHKey)
def show_ssh_key(key_id: int, caller: Caller) -> Resource:
    """Show one of the caller's keys."""
    for key in caller.store.people.keys_of(caller.user):
        if key.id == key_id:
            return _ssh_key(caller.links, key)
    raise NotFound("you have no such key")


@router.delete("/ssh_keys/{key_id}", response_model=shapes.SSHKey)
def delete_ssh_key(key_id: int, caller: Caller) -> Resource:
    """Take one of the caller's keys away; it opens no new connection."""
    shown = show_ssh_key(key_id, caller)
    caller.store.people.remove_key(caller.user, key_id)
    return shown


def _ssh_key(links: Links, key: SSHKey) -> Resource:
    return {
        "_type": "ssh_key",
        "id": key.id,
        "name": key.name,
        "ssh_public_key": key.public_key,
        "public_key_fingerprint": key.fingerprint,
        "_links": links.hal(self=["ssh_keys", key.id], user=["users", key.user_id]),
    }
