"""Members: who belongs to an environment, by email, and with which role."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api import shapes
from api.call import Caller, Paging
from api.hal import Links, Resource, collected
from enclave.people import Member, Role

router = APIRouter(tags=["members"])


class NewMember(BaseModel):
    """Who is to be a member, and with which role."""

    email: str = Field(max_length=320)
    role: Role


class MemberUpdate(BaseModel):
    """What can be changed of a member; other fields are ignored."""

    role: Role


@router.get("/accounts/{account_id}/members", response_model=shapes.Members)
def list_members(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List the environment's members, oldest first."""
    caller.environment(account_id)
    address = caller.links.to("accounts", account_id, "members")
    found = caller.store.members.of_environment(account_id)
    return collected(address, "members", found, lambda each: _member(caller.links, each), page)


@router.post("/accounts/{account_id}/members", status_code=201, response_model=shapes.Member)
def add_member(account_id: int, body: NewMember, caller: Caller) -> Resource:
    """Add somebody by email.

    The answer is the same whether a user of that email exists or not: who comes later is a member
    from then on. So nobody can find out who else has come in here.
    """
    caller.environment(account_id, Role.ADMIN)
    added = caller.store.members.add(account_id, body.email, body.role, actor=caller.actor)
    return _member(caller.links, added)


@router.get("/accounts/{account_id}/members/{member_id}", response_model=shapes.Member)
def show_member(account_id: int, member_id: int, caller: Caller) -> Resource:
    """Show one member."""
    caller.environment(account_id)
    return _member(caller.links, caller.store.members.member(account_id, member_id))


@router.put("/accounts/{account_id}/members/{member_id}", response_model=shapes.Member)
def update_member(account_id: int, member_id: int, body: MemberUpdate, caller: Caller) -> Resource:
    """Give a member another role; the last admin keeps theirs."""
    caller.environment(account_id, Role.ADMIN)
    member = caller.store.members.member(account_id, member_id)
    return _member(caller.links, caller.store.members.change(member, body.role, actor=caller.actor))


@router.delete("/accounts/{account_id}/members/{member_id}", response_model=shapes.Member)
def remove_member(account_id: int, member_id: int, caller: Caller) -> Resource:
    """Take a member out, except for the last admin."""
    caller.environment(account_id, Role.ADMIN)
    member = caller.store.members.member(account_id, member_id)
    caller.store.members.remove(member, actor=caller.actor)
    return _member(caller.links, member)


def _member(links: Links, member: Member) -> Resource:
    account = ["accounts", member.environment_id]
    return {
        "_type": "member",
        "id": member.id,
        "email": member.email,
        "role": member.role,
        "created_at": member.created_at,
        "_links": links.hal(self=[*account, "members", member.id], account=account),
    }
