"""One request of someone we know: who asks, and what the answer is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.container_output import ContainerOutput
from api.hal import Links, Page, asked_page
from enclave.access import (
    PROVED,
    OfInstallation,
    OfUser,
    authorise,
    permitted_app,
    permitted_environment,
    permitted_operation,
)
from enclave.activity import Actor, trimmed
from enclave.app import App
from enclave.errors import Unauthenticated
from enclave.operation import Operation
from enclave.people import Environment, Role, User
from enclave.principal import Principal
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import token_holder, verify_token


@dataclass(frozen=True, slots=True)
class House:
    """What every answer is made from."""

    store: Store
    settings: Settings
    containers: ContainerOutput | None = None
    """Who tells what containers print; None where there is no receiver around the API."""
    portal_host_key: str = ""
    """The log portal's RSA host key: ``ssh-rsa AAAA…``, without a host."""

    @property
    def links(self) -> Links:
        """The maker of addresses."""
        return Links(self.settings.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(House):
    """An authenticated request. Each method is a question to ``enclave.access.authorise``."""

    principal: Principal
    actor: Actor

    @property
    def user(self) -> User:
        """Who asks, however far what they showed reaches."""
        return self.principal.user

    def still(self) -> Call:
        """Return the same call as of now, for an answer that takes long.

        Raises ``Unauthenticated`` when the token counts no more.
        """
        return replace(self, principal=token_holder(self.store, self.principal.token_id))

    def common(self) -> None:
        """Return if the caller may see what all may who have come in."""
        authorise(self.store, self.principal, OfInstallation(), Role.READ)

    def require_self(self, user_id: int, role: Role = Role.READ) -> None:
        """Return if the caller is that user; raises ``NotFound``, as for a user that is not.

        Raises ``Forbidden`` when the token's scope does not reach that far.
        """
        authorise(self.store, self.principal, OfUser(user_id), role)

    def environment(self, environment_id: int, role: Role = Role.READ) -> Environment:
        """Return the environment if the caller has that role in it; raises as ``app``."""
        return permitted_environment(self.store, self.principal, environment_id, role)

    def app(self, app_id: int, role: Role = Role.READ) -> App:
        """Return the app if the caller has that role; raises ``NotFound`` or ``Forbidden``."""
        return permitted_app(self.store, self.principal, app_id, role)

    def operation(self, operation_id: int, role: Role = Role.READ) -> Operation:
        """Return the operation if the caller has that role over its app; raises as ``app``."""
        return permitted_operation(self.store, self.principal, operation_id, role)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


Open = Annotated[House, Depends(_house)]
"""A request that needs no token."""

_BEARER = HTTPBearer(auto_error=False, description="The `access_token` of `POST /tokens`.")


def acting(request: Request, email: str, proof: str) -> Actor:
    """Return who asks as the activity keeps it. The address is a trusted proxy's word, if any."""
    source = request.client.host if request.client else ""
    return Actor(email, proof, source, trimmed(request.headers.get("user-agent", "")))


def _nothing() -> None:
    """Nobody wants to know."""


def _call(
    request: Request,
    house: Open,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Call:
    if bearer is None:
        raise Unauthenticated("This needs an access token: run aptible login.")
    principal = verify_token(house.store, bearer.credentials)
    request.scope.get(PROVED, _nothing)()
    actor = acting(request, principal.user.email, principal.proof)
    around = house.containers, house.portal_host_key
    return Call(house.store, house.settings, *around, principal=principal, actor=actor)


Caller = Annotated[Call, Depends(_call)]
"""A request with a valid token; 401 without."""

Paging = Annotated[Page, Depends(asked_page)]
