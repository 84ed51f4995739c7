"""Tokens: an email and a password for a time of access (API.md, Tokens)."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from api import shapes
from api.asker import count_login
from api.call import Caller, Open
from api.hal import Links, Resource
from enclave.clock import iso
from enclave.errors import InvalidInput
from enclave.tokens import SCOPE, IssuedToken, issue_token

router = APIRouter(tags=["tokens"])

_LONGEST_SECONDS = 90 * 24 * 3600
_PARALLEL_CHECKS = 4  # argon2 takes 64 MiB a password: strangers must not choose how often at once
_checking = CapacityLimiter(_PARALLEL_CHECKS)


def _known_scope(scope: str) -> str:
    if scope not in ("", SCOPE):
        raise ValueError(f"the only scope is {SCOPE}")
    return SCOPE


class _TokenRequest(BaseModel):
    """The OAuth password grant; other fields (``client_id``, ``otp_token``) are ignored."""

    grant_type: str = Field("password", pattern="^password$")
    username: str = Field("", max_length=320)
    email: str = Field("", max_length=320)
    password: str = Field(max_length=4096)
    scope: Annotated[str, AfterValidator(_known_scope)] = SCOPE
    expires_in: int | None = Field(None, ge=1)


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
    response_model=shapes.Token,
    openapi_extra={"requestBody": _BODY},
)
async def create_token(request: Request, house: Open) -> Resource:
    """Give a token for an email and a password, form-encoded or JSON.

    The same 401 answers an unknown user and a wrong password. At most 90 days are given.
    """
    asked = await _read_request(request)

    def issue() -> IssuedToken:
        store, settings = house.store, house.settings
        user = store.people.authenticate(asked.username or asked.email, asked.password)
        seconds = min(asked.expires_in or settings.token_seconds, _LONGEST_SECONDS)
        return issue_token(store, user, url=settings.url, seconds=seconds, scope=asked.scope)

    issued = await to_thread.run_sync(issue, limiter=_checking)
    return _token(house.links, issued)


@router.delete("/tokens/{token_id}", response_model=shapes.RevokedToken)
def revoke_token(token_id: str, caller: Caller) -> Resource:
    """End one of the caller's own tokens now."""
    caller.store.people.revoke_token(caller.user, token_id)
    return {"_type": "token", "id": token_id}


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
            f"grant_type=password, username, password, scope={SCOPE} and expires_in (seconds)."
        ) from None  # the cause quotes the password
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is neither a form nor JSON.") from error


def _token(links: Links, issued: IssuedToken) -> Resource:
    return {
        "_type": "token",
        "id": issued.id,
        "access_token": issued.access_token,
        "token_type": "bearer",
        "expires_in": issued.expires_at - issued.created_at,
        "expires_at": issued.expires_at,
        "scope": issued.scope,
        "created_at": iso(issued.created_at),
        "_links": links.hal(self=["tokens", issued.id], user=["users", issued.user.id]),
    }
