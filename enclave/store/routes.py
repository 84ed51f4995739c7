"""Routes in Redis (a place holder until the router is in)."""

from __future__ import annotations

from enclave.route import Route
from enclave.store.database import Database
from enclave.store.leases import Lease


class Routes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def of_app(self, app_id: int) -> list[Route]:
        return []

    def set(self, lease: Lease, route: Route) -> int:
        raise NotImplementedError

    def remove(self, lease: Lease, endpoint_id: int) -> int:
        raise NotImplementedError

    def wait_applied(self, revision: int, *, seconds: float) -> None:
        raise NotImplementedError

    def wait_drained(self, endpoint_id: int, *, seconds: float) -> None:
        raise NotImplementedError
