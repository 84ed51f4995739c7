"""WebSockets through an endpoint, with a real client: opened, silent for long, and not cut."""

import socket
import threading
from collections.abc import Iterator

import pytest
from held_app import HeldApp
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from enclave.route import Target
from enclave.store import Store
from testbed.backend import Backend
from testbed.routing import Routing

HOST = "www.example.com"
IDLE = 1.0
SECONDS = 20


def echo(connection: ServerConnection) -> None:
    request = connection.request
    assert request is not None
    connection.send(f"{request.headers['X-Forwarded-For']} {request.headers['Host']}")
    for message in connection:
        connection.send(message)


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(echo, "127.0.0.1", 0, ping_interval=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server


@pytest.fixture
def routing(redis_url: str) -> Iterator[Routing]:
    settings = {"ENCLAVE_ROUTER_IDLE_SECONDS": str(IDLE), "ENCLAVE_DRAIN_SECONDS": "1"}
    with Routing(redis_url, settings=settings) as routing:
        yield routing


@pytest.fixture
def app(store: Store, server: Server, routing: Routing) -> HeldApp:
    """An app whose endpoint leads to the server; ``routing`` makes that so."""
    assert routing.answers()
    app = HeldApp(store)
    app.want(1, HOST, Target("127.0.0.1", server.socket.getsockname()[1]))
    return app


def client(routing: Routing, *, headers: dict[str, str] | None = None) -> ClientConnection:
    plain = socket.create_connection(("127.0.0.1", routing.http_port), timeout=SECONDS)
    return connect(
        f"ws://{HOST}/chat",
        sock=plain,
        additional_headers=headers,
        ping_interval=None,
        proxy=None,
        open_timeout=SECONDS,
    )


def says(connection: ClientConnection, word: str) -> None:
    connection.send(word)
    assert connection.recv(SECONDS) == word


def test_it_stays_open_in_silence_and_through_a_reload(routing: Routing, app: HeldApp) -> None:
    with client(routing) as connection, Backend("a") as backend:
        assert connection.recv(SECONDS) == f"127.0.0.1 {HOST}"
        with pytest.raises(TimeoutError):
            connection.recv(2.5 * IDLE)  # an answer that is silent for so long is cut off
        says(connection, "still here")

        worker = routing.worker_pid()
        app.want(2, "other.example.com", backend.target)
        assert routing.worker_pid() != worker
        says(connection, "here, too")


def test_one_to_a_container_that_is_replaced_has_as_long_as_a_request(
    routing: Routing, app: HeldApp, store: Store
) -> None:
    with client(routing) as connection, Backend("a") as backend:
        connection.recv(SECONDS)
        app.want(1, HOST, backend.target)
        says(connection, "not cut at once")
        assert store.routes.is_draining(1)
        with pytest.raises(ConnectionClosed):
            connection.recv(SECONDS)
        store.routes.wait_drained(1, SECONDS)


@pytest.mark.usefixtures("app")
def test_the_head_of_a_request_may_be_as_large_as_most_servers_take(routing: Routing) -> None:
    def many(number: int) -> dict[str, str]:
        return {f"X-Long-{at}": "x" * 7000 for at in range(number)}

    with client(routing, headers=many(2)) as connection:
        assert connection.recv(SECONDS) == f"127.0.0.1 {HOST}"
    with pytest.raises(InvalidStatus) as refused:
        client(routing, headers=many(3))
    assert refused.value.response.status_code == 400
