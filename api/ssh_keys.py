"""SSH keys: what a user pushes with, and a machine that deploys an environment's apps."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api import shapes
from api.call import Caller, Paging
from api.hal import Links, Resource, collected
from enclave.access import permitted_ssh_key
from enclave.people import Role, SSHKey

router = APIRouter(tags=["ssh_keys"])


class NewSSHKey(BaseModel):
    """One line of a ``.pub`` file."""

    ssh_public_key: str = Field(max_length=16_384)
    name: str = Field("", max_length=100)


@router.get("/users/{user_id}/ssh_keys", response_model=shapes.SSHKeys)
def list_ssh_keys(user_id: int, caller: Caller, page: Paging) -> Resource:
    """List the caller's keys, oldest first."""
    caller.require_self(user_id)
    address = caller.links.to("users", user_id, "ssh_keys")
    keys = caller.store.people.keys_of(caller.user)
    return collected(address, "ssh_keys", keys, lambda key: _ssh_key(caller.links, key), page)


@router.post("/users/{user_id}/ssh_keys", status_code=201, response_model=shapes.SSHKey)
def create_ssh_key(user_id: int, body: NewSSHKey, caller: Caller) -> Resource:
    """Add a key to the caller's."""
    caller.require_self(user_id, Role.ADMIN)
    key = caller.store.people.add_key(
        caller.user, body.ssh_public_key, body.name, actor=caller.actor
    )
    return _ssh_key(caller.links, key)


@router.get("/accounts/{account_id}/ssh_keys", response_model=shapes.SSHKeys)
def list_deploy_keys(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List the environment's own keys, oldest first."""
    caller.environment(account_id)
    address = caller.links.to("accounts", account_id, "ssh_keys")
    keys = caller.store.deploy_keys.of_environment(account_id)
    return collected(address, "ssh_keys", keys, lambda key: _ssh_key(caller.links, key), page)


@router.post("/accounts/{account_id}/ssh_keys", status_code=201, response_model=shapes.SSHKey)
def create_deploy_key(account_id: int, body: NewSSHKey, caller: Caller) -> Resource:
    """Add a key with which a machine may push to every app of the environment."""
    caller.environment(account_id, Role.ADMIN)
    key = caller.store.deploy_keys.add(
        account_id, body.ssh_public_key, body.name, actor=caller.actor
    )
    return _ssh_key(caller.links, key)


@router.get("/ssh_keys/{key_id}", response_model=shapes.SSHKey)
def show_ssh_key(key_id: int, caller: Caller) -> Resource:
    """Show one of the caller's keys, or of an environment's."""
    key = permitted_ssh_key(caller.store, caller.principal, key_id, Role.READ)
    return _ssh_key(caller.links, key)


@router.delete("/ssh_keys/{key_id}", response_model=shapes.SSHKey)
def delete_ssh_key(key_id: int, caller: Caller) -> Resource:
    """Take one of the caller's keys away, or of an environment's; it opens no new connection."""
    key = permitted_ssh_key(caller.store, caller.principal, key_id, Role.ADMIN)
    if key.environment_id is not None:
        caller.store.deploy_keys.remove(key, actor=caller.actor)
    else:
        caller.store.people.remove_key(caller.user, key_id, actor=caller.actor)
    return _ssh_key(caller.links, key)


def _ssh_key(links: Links, key: SSHKey) -> Resource:
    own = key.environment_id is None
    owner = (
        {"user": ["users", key.user_id]} if own else {"account": ["accounts", key.environment_id]}
    )
    return {
        "_type": "ssh_key",
        "id": key.id,
        "name": key.name,
        "ssh_public_key": key.public_key,
        "public_key_fingerprint": key.fingerprint,
        "_links": links.hal(self=["ssh_keys", key.id], **owner),
    }
