"""Whether this process can do its work."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Open
from api.hal import Resource
from api.hal_shapes import Error
from enclave.errors import StoreUnavailable

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS = 2.0


@router.get("/healthz", response_model=shapes.Health, responses={503: {"model": Error}})
def show_health(house: Open) -> Resource:
    """Answer 200 when Redis answers, 503 otherwise."""
    if not house.store.database.answers(seconds=_PATIENCE_SECONDS):
        raise StoreUnavailable("Redis does not answer the health check")
    return {"status": "ok"}
