"""Stacks: where the containers run; an installation is one."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from enclave.errors import NotFound

router = APIRouter(tags=["stacks"])

STACK = 1


@router.get("/stacks", response_model=shapes.Stacks)
def list_stacks(caller: Caller, page: Paging) -> Resource:
    """List the one stack."""
    caller.common()
    return collected(caller.links.to("stacks"), "stacks", [STACK], lambda _: _stack(caller), page)


@router.get("/stacks/{stack_id}", response_model=shapes.Stack)
def show_stack(stack_id: int, caller: Caller) -> Resource:
    """Show the one stack."""
    caller.common()
    if stack_id != STACK:
        raise NotFound("there is no such stack")
    return _stack(caller)


def _stack(caller: Call) -> Resource:
    return {
        "_type": "stack",
        "id": STACK,
        "name": "enclave",
        "region": "self-hosted",
        "outbound_ip_addresses": [],
        "ssh_portal_host": caller.settings.ssh_public_host,
        "ssh_portal_port": caller.settings.portal_port,
        "ssh_host_rsa_public_key": caller.portal_host_key,
        "_links": caller.links.hal(self=["stacks", STACK]),
    }
