"""An app whose lease is held, as a worker's is that runs one of its operations."""

from __future__ import annotations

from itertools import count

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationType
from enclave.route import Route, Target
from enclave.store import Store, keys
from enclave.store.leases import Lease

_SECONDS = 600.0
_NUMBERS = count(1)


class HeldApp:
    """An app, its lease, and its routes as its worker would want them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        environment = store.apps.create_environment(f"held-{next(_NUMBERS)}")
        self.environment_id = environment.id
        self.app: App = store.apps.create(environment, "web")
        request = OperationRequest(self.app.id, OperationType.DEPLOY, 1, "ann@example.com")
        store.operations.submit(request, Changes())
        lease = store.leases.take(self.app.id, holder="holder", seconds=_SECONDS)
        assert lease is not None
        self.lease = lease

    def want(
        self, endpoint_id: int, host: str, *targets: Target, wait: bool = True, **more: object
    ) -> int:
        """Want a route with one host; return its revision, when it is applied."""
        route = Route(endpoint_id, self.app.id, (host,), targets, **more)  # type: ignore[arg-type]
        revision = self.store.routes.set(self.lease, route)
        if wait:
            self.store.routes.wait_applied(revision, 20)
        return revision

    def lose(self) -> Lease:
        """Let the lease run out; return the one that another worker then has."""
        run = self.store.database.raw.info("server")["run_id"]
        lost = {"expires": 1, "doubted": 1, "doubted_in": run}
        self.store.database.raw.hset(keys.lease(self.app.id), mapping=lost)
        lease = self.store.leases.take(self.app.id, holder="heir", seconds=_SECONDS)
        assert lease is not None
        return lease
