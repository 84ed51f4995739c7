"""What every test shares."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from enclave.sealing import Sealer
from enclave.store import Store
from testbed.processes import Child

# A rule's example may be slow once on a busy machine; whole runs have their deadline elsewhere.
settings.register_profile("enclave", deadline=None)
settings.load_profile("enclave")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A redis-server as durable as ours has to be, on a private unix socket; returns the socket."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    server = Child(["redis-server", *options, *durable], log=folder / "redis.log")

    def answers() -> bool:
        ping = ["redis-cli", "-s", str(socket), "ping"]
        return subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n"

    server.wait_ready(answers, seconds=20)
    yield socket
    server.kill()


@pytest.fixture
def redis_url(redis_server: Path) -> str:
    """The URL of a real, empty Redis."""
    url = f"unix://{redis_server}"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def store(redis_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store in a real Redis."""
    store = Store(redis_url, Sealer.from_settings("", tmp_path))
    yield store
    store.database.redis.close()  # type: ignore[attr-defined]
    store.database.raw.close()
