"""Accounts: the API's word for environments."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Caller, Paging
from api.hal import Links, Resource, collected
from api.organizations import ORGANIZATION
from api.stacks import STACK
from enclave.access import permitted_environment, permitted_environment_by_name
from enclave.people import Environment, Role

router = APIRouter(tags=["accounts"])


@router.get("/accounts", response_model=shapes.Accounts)
def list_accounts(caller: Caller, page: Paging) -> Resource:
    """List the environments that the caller is a member of."""
    ids = caller.store.people.environments_of(caller.user)

    def render(environment_id: int) -> Resource:
        return _account(caller.links, caller.store.apps.environment(environment_id))

    return collected(caller.links.to("accounts"), "accounts", ids, render, page)


@router.get("/accounts/{account_id}", response_model=shapes.Account)
def show_account(account_id: int, caller: Caller) -> Resource:
    """Show one environment."""
    environment = permitted_environment(caller.store, caller.user, account_id, Role.READ)
    return _account(caller.links, environment)


@router.get("/find/account", response_model=shapes.Account)
def find_account(handle: str, caller: Caller) -> Resource:
    """Find an environment by its handle."""
    environment = permitted_environment_by_name(caller.store, caller.user, handle, Role.READ)
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
            stack=["stacks", STACK],
            organization=["organizations", ORGANIZATION],
        ),
    }
