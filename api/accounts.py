"""Accounts: the API's word for environments."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Caller, Paging
from api.hal import Links, Resource, collected
from api.organizations import ORGANIZATION
from api.stacks import STACK
from enclave.access import (
    visible_environment,
    visible_environment_by_name,
    visible_environments,
)
from enclave.people import Environment

router = APIRouter(tags=["accounts"])


@router.get("/accounts", response_model=shapes.Accounts)
def list_accounts(caller: Caller, page: Paging) -> Resource:
    """List the environments that the caller is a member of."""
    ids = visible_environments(caller.store, caller.principal)

    def render(environment_id: int) -> Resource:
        return _account(caller.links, caller.store.apps.environment(environment_id))

    return collected(caller.links.to("accounts"), "accounts", ids, render, page)


@router.get("/accounts/{account_id}", response_model=shapes.Account)
def show_account(account_id: int, caller: Caller) -> Resource:
    """Show one environment."""
    return _account(caller.links, visible_environment(caller.store, caller.principal, account_id))


@router.get("/find/account", response_model=shapes.Account)
def find_account(handle: str, caller: Caller) -> Resource:
    """Find an environment by its handle."""
    environment = visible_environment_by_name(caller.store, caller.principal, handle)
    return _account(caller.links, environment)


def _account(links: Links, environment: Environment) -> Resource:
    account = ["accounts", environment.id]
    return {
        "_type": "account",
        "id": environment.id,
        "handle": environment.handle,
        "type": "production",
        "created_at": environment.created_at,
        "_links": links.hal(
            self=account,
            apps=[*account, "apps"],
            certificates=[*account, "certificates"],
            ssh_keys=[*account, "ssh_keys"],
            members=[*account, "members"],
            activity=[*account, "activity"],
            stack=["stacks", STACK],
            organization=["organizations", ORGANIZATION],
        ),
    }
