"""What every test shares."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import uvicorn
from argon2 import PasswordHasher
from hypothesis import settings

from api.application import create_api
from enclave.sealing import Sealer
from enclave.settings import Settings
from enclave.store import Store
from testbed.processes import Child, wait_until

_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""As it is meant to be, hashing a password takes 0.2 s of CPU, and tests make hundreds of users."""

# A rule's example may be slow once on a busy machine; whole runs have their deadline elsewhere.
settings.register_profile("enclave", deadline=None)
settings.load_profile("enclave")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A redis-server as durable as ours has to be, on a private unix socket; returns the socket."""
    folder = tmp_path_factory.mktemp("redis")
    address = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(address), "--dir", str(folder), "--save", ""]
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    server = Child(["redis-server", *options, *durable], log=folder / "redis.log")

    def answers() -> bool:
        ping = ["redis-cli", "-s", str(address), "ping"]
        return subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n"

    server.wait_ready(answers, seconds=20)
    yield address
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
    store.people._hasher = _CHEAP
    yield store
    store.database.redis.close()  # type: ignore[attr-defined]
    store.database.raw.close()


@pytest.fixture
def served(store: Store, tmp_path: Path) -> Iterator[str]:
    """The API over ``store`` on a port of 127.0.0.1; returns its root URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        api = create_api(store, Settings(data=tmp_path, public_url=url, keepalive_seconds=0.1))
        config = uvicorn.Config(
            api, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started, seconds=10, what="uvicorn did not start")
        yield url
        server.should_exit = True
        thread.join(10)
