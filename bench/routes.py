"""A switch and a reload with many endpoints: how long each takes, and what HAProxy weighs.

    python -m bench.routes [ENDPOINTS]

The reference is one endpoint in the same run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationType
from enclave.route import Route, Target
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.store.leases import Lease
from testbed.backend import Backend
from testbed.processes import Child, wait_until
from testbed.routing import Routing

_SWITCHES = 50
_RELOADS = 5
_SECONDS = 60.0


def main(most: int) -> None:
    """Print a table: endpoints, milliseconds a switch, seconds a reload, MiB of a worker."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket = folder / "redis.sock"
        words = ["--port", "0", "--unixsocket", str(socket), "--dir", name, "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        redis = Child(["redis-server", *words, *durable], log=folder / "redis.log")
        redis.wait_ready(socket.exists, seconds=20)
        try:
            print("endpoints  switch: median, worst [ms]  reload: median [s]  worker [MiB]")
            for endpoints in (1, most):
                _measure(f"unix://{socket}", folder, endpoints)
        finally:
            redis.kill()


def _measure(url: str, folder: Path, endpoints: int) -> None:
    store = Store(url, Sealer.from_settings("", folder))
    lease = _lease(store)
    with Routing(url, settings={}) as routing, Backend("a") as a, Backend("b") as b:
        for endpoint_id in range(1, endpoints + 1):
            revision = store.routes.set(lease, _route(lease, endpoint_id, a.target))
        store.routes.wait_applied(revision, _SECONDS)
        wait_until(routing.answers, seconds=_SECONDS, what="HAProxy does not answer")
        switches = [
            _timed(store, lease, _route(lease, 1, target))
            for target in (b.target, a.target) * (_SWITCHES // 2)
        ]
        reloads = [
            _timed(store, lease, _route(lease, 1_000_000 + at, a.target)) for at in range(_RELOADS)
        ]
        status = Path(f"/proc/{routing.worker_pid()}/status").read_text()
        weight = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        print(
            f"{endpoints:9d}  {statistics.median(switches) * 1000:14.1f}"
            f" {max(switches) * 1000:7.1f}      {statistics.median(reloads):18.2f}  {weight:12.0f}"
        )
        for endpoint_id in store.routes.changes().routes:
            store.routes.remove(lease, endpoint_id)


def _lease(store: Store) -> Lease:
    subject = f"bench-{time.monotonic_ns()}"
    app = store.apps.create(store.apps.create_environment(subject), "web")
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "bench@example.com")
    store.operations.submit(request, Changes())
    lease = store.leases.take(app.id, holder="bench", seconds=3600)
    if lease is None:
        raise SystemExit("the app is busy")
    return lease


def _route(lease: Lease, endpoint_id: int, target: Target) -> Route:
    return Route(endpoint_id, lease.app_id, (f"app-{endpoint_id}.localhost",), (target,))


def _timed(store: Store, lease: Lease, route: Route) -> float:
    began = time.monotonic()
    store.routes.wait_applied(store.routes.set(lease, route), _SECONDS)
    return time.monotonic() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
