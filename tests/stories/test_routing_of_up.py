"""HAProxy and its router as parts of ``enclave up``: started, restarted, stopped with the rest."""

import http.client
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from enclave.route import Route
from enclave.sealing import Sealer
from enclave.store import Store, keys
from enclave.store.leases import Lease
from testbed.backend import Backend
from testbed.engine import PrivateEngine
from testbed.installation import Installation
from testbed.processes import PartUnavailable, wait_until

HOST = "app-1.localhost"


@pytest.fixture
def platform(engine: PrivateEngine) -> Iterator[Installation]:
    with Installation(engine.url) as platform:
        yield platform


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend("a") as backend:
        yield backend


def want(platform: Installation, backend: Backend) -> None:
    """Want a route under a lease that no worker has given up."""
    store = Store(f"unix://{platform.redis_socket}", Sealer.from_settings("", platform.data))
    store.database.redis.hset(keys.lease(1), "fence", "7")
    route = Route(1, 1, (HOST,), (backend.target,))
    revision = store.routes.set(Lease(1, 1, "7", recovers=False), route)
    store.routes.wait_applied(revision, 20)


def serves(platform: Installation) -> Callable[[], bool]:
    def is_served() -> bool:
        port = platform.router_http_port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as client:
            try:
                client.request("GET", "/", headers={"Host": HOST})
                return client.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    return is_served


@pytest.mark.parametrize("part", ["router", "haproxy"])
def test_a_part_that_is_killed_is_back_in_seconds(
    platform: Installation, backend: Backend, part: str
) -> None:
    want(platform, backend)
    old = platform.pids(part)
    assert old
    platform.kill(part)
    wait_until(serves(platform), seconds=10, what="no answer")
    wait_until(
        lambda: bool(platform.pids(part)) and not set(old) & set(platform.pids(part)),
        seconds=10,
        what=f"{part} is not back",
    )


def test_stopped_and_started_it_serves_what_it_served(
    platform: Installation, backend: Backend
) -> None:
    want(platform, backend)
    pids = platform.pids("haproxy")
    platform.stop()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", platform.router_http_port))
    platform.start()
    wait_until(serves(platform), seconds=20, what="no answer")


def test_it_ends_with_a_supervisor_that_is_killed(platform: Installation, backend: Backend) -> None:
    want(platform, backend)
    pids = [*platform.pids("haproxy"), *platform.pids("router")]
    os.kill(int((platform.data / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids),
        seconds=10,
        what="HAProxy or the router lives on",
    )


def test_a_port_that_is_taken_is_named(platform: Installation) -> None:
    platform.stop()
    with (
        socket.create_server(("127.0.0.1", platform.router_https_port)),
        pytest.raises(PartUnavailable),
    ):
        platform.start()
    words = f"port {platform.router_https_port} of 127.0.0.1 is taken"
    log = (platform.directory / "up.log").read_text()
    assert words in log
    assert "ENCLAVE_ROUTER_HTTPS_PORT" in log
