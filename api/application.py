"""The HTTP API as one application: HAL resources, one small module each (API.md)."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import (
    accounts,
    activity,
    apps,
    certificates,
    configurations,
    container_logs,
    error_bodies,
    health,
    images,
    logs,
    members,
    operations,
    organizations,
    releases,
    root,
    service_operations,
    services,
    ssh_keys,
    ssh_portal_connections,
    stacks,
    tokens,
    users,
    vhosts,
    webhooks,
)
from api.call import House
from api.container_output import ContainerOutput
from api.hal_shapes import REFUSALS
from api.middleware import BodyLimit, SecurityHeaders, UnexpectedErrors
from enclave.settings import Settings
from enclave.store import Store

_DOCS = "/docs"
_ROOMS = (
    root,
    health,
    tokens,
    users,
    ssh_keys,
    organizations,
    stacks,
    accounts,
    apps,
    services,
    service_operations,
    vhosts,
    certificates,
    webhooks,
    configurations,
    images,
    releases,
    operations,
    ssh_portal_connections,
    logs,
    container_logs,
    members,
    activity,
)


def create_api(
    store: Store,
    settings: Settings,
    containers: ContainerOutput | None = None,
    *,
    portal_host_key: str = "",
) -> FastAPI:
    """Return the API over ``store``. Without ``containers`` nobody tells what they print.

    ``portal_host_key`` is the log portal's RSA key, which clients will insist on.

    It has no start-up or shutdown of its own: mount it anywhere.

    A follower of a log ends with its connection: give the server a deadline for its graceful end.
    """
    api = FastAPIOffline(
        title="Enclave",
        description="Deploy apps by git push or from a Docker image.",
        docs_url=_DOCS,
        redoc_url=None,
        static_url=f"{_DOCS}/static",
        redirect_slashes=False,  # no redirect answers a POST
    )
    api.state.house = House(store, settings, containers, portal_host_key)
    error_bodies.install_error_bodies(api, [room.router for room in _ROOMS])
    for room in _ROOMS:
        api.include_router(room.router, responses=REFUSALS)
    # The last one added is the outermost.
    api.add_middleware(BodyLimit)
    api.add_middleware(UnexpectedErrors)
    https = settings.url.startswith("https://")
    api.add_middleware(SecurityHeaders, docs=_DOCS, https=https)
    return api
