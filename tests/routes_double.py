"""Routes in memory, for what is not about HAProxy: which endpoint leads where, and when."""

from __future__ import annotations

from collections.abc import Callable

from enclave.errors import CertificateNotServed, OperationFailed
from enclave.route import Route
from enclave.store.leases import Lease


class RoutesDouble:
    """Stands for ``store.routes``. ``told`` is what happened, in order."""

    def __init__(self, watch: Callable[[], object] = lambda: None) -> None:
        self.wanted: dict[int, Route] = {}
        self.told: list[tuple[str, int, object]] = []
        self.away = False
        self.unserved: set[int] = set()
        self._watch = watch
        self._revision = 0

    def set(self, lease: Lease, route: Route) -> int:
        self.wanted[route.endpoint_id] = route
        self.told.append(("set", route.endpoint_id, self._watch()))
        return self._next()

    def remove(self, lease: Lease, endpoint_id: int) -> int:
        self.wanted.pop(endpoint_id, None)
        self.told.append(("remove", endpoint_id, self._watch()))
        return self._next()

    def of_app(self, app_id: int) -> list[Route]:
        return [route for route in self.wanted.values() if route.app_id == app_id]

    def wait_applied(self, revision: int, *, seconds: float) -> None:
        if self.away:
            raise OperationFailed("The router does not follow.")

    def require_served(self, certificate_id: int) -> None:
        if certificate_id in self.unserved:
            raise CertificateNotServed(f"Certificate {certificate_id} cannot be served.")

    def wait_drained(self, endpoint_id: int, *, seconds: float) -> None:
        self.told.append(("drained", endpoint_id, self._watch()))

    def _next(self) -> int:
        self._revision += 1
        return self._revision
