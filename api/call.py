"""One request of someone we know: who asks, and what the answer is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.container_output import ContainerOutput
from api.hal import Links, Page, asked_page
from enclave.access import PROVED, permitted_app, permitted_operation
from enclave.app import App
from enclave.errors import Unauthenticated
from enclave.operation import Operation
from enclave.people import Role, User
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import verify_token


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
    """An authenticated request."""

    user: User

    def app(self, app_id: int, role: Role = Role.READ) -> App:
        """Return the app if the caller has that role; raises ``NotFound`` or ``Forbidden``."""
        return permitted_app(self.store, self.user, app_id, role)

    def operation(self, operation_id: int, role: Role = Role.READ) -> Operation:
        """Return the operation if the caller has that role over its app; raises as ``app``."""
        return permitted_operation(self.store, self.user, operation_id, role)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


Open = Annotated[House, Depends(_house)]
"""A request that needs no token."""

_BEARER = HTTPBearer(auto_error=False, description="The `access_token` of `POST /tokens`.")


def _nothing() -> None:
    """Nobody wants to know."""


def _call(
    request: Request,
    house: Open,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Call:
    if bearer is None:
        raise Unauthenticated("This needs an access token: run aptible login.")
    user = verify_token(house.store, bearer.credentials)
    request.scope.get(PROVED, _nothing)()
    around = house.containers, house.portal_host_key
    return Call(house.store, house.settings, *around, user=user)


Caller = Annotated[Call, Depends(_call)]
"""A request with a valid token; 401 without."""

Paging = Annotated[Page, Depends(asked_page)]
