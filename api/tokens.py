"""Tokens: for an email and a password a time of access; narrower ones for machines (API.md)."""

from __future__ import annotations

from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, ValidationError

from api import shapes
from api.asker import count_login
from api.call import Call, Caller, House, Open, Paging, acting
from api.hal import Links, Resource, collected
from enclave.access import permitted_app, permitted_token
from enclave.activity import Actor
from enclave.clock import iso
from enclave.errors import InvalidInput
from enclave.people import Role
from enclave.principal import Principal, read_scope
from enclave.store.tokens import TokenRecord
from enclave.tokens import IssuedToken, issue_token

router = APIRouter(tags=["tokens"])

_DAY = 24 * 3600
_LONGEST_LOGIN = 90 * _DAY
_LONGEST = 365 * _DAY
_USUAL = 90 * _DAY
_PARALLEL_CHECKS = 4  # argon2 takes 64 MiB a password: strangers must not choose how often at once
_checking = CapacityLimiter(_PARALLEL_CHECKS)


class _TokenRequest(BaseModel):
    """The OAuth password grant; other fields (``client_id``, ``otp_token``) are ignored."""

    grant_type: str = Field("password", pattern="^password$")
    username: str = Field("", max_length=320)
    email: str = Field("", max_length=320)
    password: str = Field(max_length=4096)
    scope: str = Field("", max_length=100)
    expires_in: int | None = Field(None, ge=1)


class NewToken(BaseModel):
    """A token for a machine, or for looking only. ``expires_in`` is in seconds."""

    scope: str = Field("", max_length=100)
    name: str = Field("", max_length=100)
    expires_in: int = Field(_USUAL, ge=1)


_BODY = {  # read by hand, since it comes in two forms
    "required": True,
    "content": {
        kind: {"schema": _TokenRequest.model_json_schema()}
        for kind in ("application/x-www-form-urlencoded", "application/json")
    },
}


@router.post(
    "/tokens",
    dependencies=[Depends(count_login)],
    status_code=201,
    response_model=shapes.IssuedToken,
    openapi_extra={"requestBody": _BODY},
)
async def create_token(request: Request, house: Open) -> Resource:
    """Give a token for an email and a password, form-encoded or JSON.

    The same 401 answers an unknown user and a wrong password. At most 90 days are given. The
    `scope` is `manage` unless it says `read`, or `app:N` for deploys of one app.
    """
    asked = await _read_request(request)

    def issue() -> IssuedToken:
        user = house.store.people.authenticate(asked.username or asked.email, asked.password)
        seconds = min(asked.expires_in or house.settings.token_seconds, _LONGEST_LOGIN)
        who = Principal(user, "password")
        actor = acting(request, user.email, who.proof)
        return _issue(house, who, actor, NewToken(scope=asked.scope, expires_in=seconds))

    return _issued(house.links, await to_thread.run_sync(issue, limiter=_checking))


@router.get("/users/{user_id}/tokens", response_model=shapes.Tokens)
def list_tokens(user_id: int, caller: Caller, page: Paging) -> Resource:
    """List the caller's tokens that count, newest first; never their texts."""
    caller.require_self(user_id)
    address = caller.links.to("users", user_id, "tokens")
    found = caller.store.tokens.of_user(caller.user)
    return collected(address, "tokens", found, lambda each: _token(caller.links, each), page)


@router.post("/users/{user_id}/tokens", status_code=201, response_model=shapes.IssuedToken)
def create_own_token(user_id: int, body: NewToken, caller: Caller) -> Resource:
    """Give the caller another token: `read`, `manage`, or `app:N` for deploys by a machine.

    90 days unless `expires_in` says otherwise, and a year at most.
    """
    caller.require_self(user_id, Role.ADMIN)
    return _issued(caller.links, _issue(caller, caller.principal, caller.actor, body))


@router.get("/tokens/{token_id}", response_model=shapes.Token)
def show_token(token_id: str, caller: Caller) -> Resource:
    """Show what is known of one of the caller's tokens."""
    return _token(caller.links, _own(caller, token_id, Role.READ))


@router.delete("/tokens/{token_id}", response_model=shapes.Token)
def revoke_token(token_id: str, caller: Caller) -> Resource:
    """End one of the caller's own tokens now; every token may end itself."""
    token = _own(caller, token_id, Role.ADMIN)
    caller.store.tokens.revoke(token, actor=caller.actor)
    return _token(caller.links, token)


def _own(caller: Call, token_id: str, role: Role) -> TokenRecord:
    return permitted_token(caller.store, caller.principal, token_id, role)


def _issue(house: House, principal: Principal, actor: Actor, asked: NewToken) -> IssuedToken:
    """Make a token of the principal's user, who must be one to deploy the app that it is for."""
    only = read_scope(asked.scope).app_id
    if only is not None:
        permitted_app(house.store, principal, only, Role.DEPLOY)
    return issue_token(
        house.store,
        principal.user,
        url=house.settings.url,
        seconds=min(asked.expires_in, _LONGEST),
        scope=asked.scope,
        name=asked.name,
        actor=actor,
    )


async def _read_request(request: Request) -> _TokenRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    fields: dict[str, Any] = {}
    try:
        if kind == "application/json":
            fields = await request.json()
        else:
            async with request.form(max_files=0, max_fields=50) as form:
                fields = dict(form)
        return _TokenRequest.model_validate(fields)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise InvalidInput(
            f"These fields of the token request are missing or wrong: {wrong or 'all'}. It takes "
            "grant_type=password, username, password, scope and expires_in (seconds)."
        ) from None  # the cause quotes the password
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is neither a form nor JSON.") from error


def _issued(links: Links, issued: IssuedToken) -> Resource:
    """Return a token as it is told once, with its text (API.md, Tokens)."""
    record = issued.record
    return {
        **_token(links, record),
        "access_token": issued.access_token,
        "token_type": "bearer",
        "expires_in": record.expires_at - record.created_at,
    }


def _token(links: Links, token: TokenRecord) -> Resource:
    used = token.last_used_at
    return {
        "_type": "token",
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "created_at": iso(token.created_at),
        "expires_at": token.expires_at,
        "last_used_at": iso(used) if used is not None else None,
        "_links": links.hal(self=["tokens", token.id], user=["users", token.user_id]),
    }
