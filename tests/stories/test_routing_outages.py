"""Whatever dies of router, HAProxy and Redis: apps are reached again in seconds, without a hand."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

import pytest
from held_app import HeldApp

from enclave.errors import StepTimedOut
from enclave.sealing import Sealer
from enclave.store import Store
from testbed.backend import Backend, is_whole
from testbed.load import Clients, Load
from testbed.processes import Child, wait_until
from testbed.routing import Routing

SECONDS = 15
HOST = "app-1.localhost"


class PrivateRedis:
    """A Redis that may be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        words = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._child = Child(["redis-server", *words, *durable], log=self._folder / "redis.log")
        self._child.wait_ready(self._answers, seconds=20)

    def kill(self) -> None:
        self._child.kill()

    def _answers(self) -> bool:
        ping = ["redis-cli", "-s", str(self.socket), "ping"]
        return subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n"


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    server = PrivateRedis(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def store(private_redis: PrivateRedis, tmp_path: Path) -> Store:
    return Store(private_redis.url, Sealer.from_settings("", tmp_path))


@pytest.fixture
def routing(private_redis: PrivateRedis, store: Store, tmp_path: Path) -> Iterator[Routing]:
    assert store  # which makes the keys
    keys = (tmp_path / "secret.keys").read_text().strip()
    with Routing(private_redis.url, keys, settings={"ENCLAVE_DRAIN_SECONDS": "20"}) as routing:
        yield routing


@pytest.fixture
def app(store: Store) -> HeldApp:
    return HeldApp(store)


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Backend(name)) for name in "abc"]


def served_by(routing: Routing, backend: Backend, host: str = HOST) -> Callable[[], bool]:
    def is_served() -> bool:
        try:
            status, body = routing.get(host)
        except (OSError, HTTPException):
            return False
        return status == 200 and body.startswith(f"{backend.name} ".encode())

    return is_served


def restarted(routing: Routing, pid: int) -> Callable[[], bool]:
    return lambda: routing.pid("router") != pid


class TestHAProxy:
    def test_killed_it_comes_back_right_by_itself(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        """From its file alone, with the addresses of the last switch: the router is not there."""
        a, b, _ = backends
        app.want(1, HOST, a.target)
        app.want(1, HOST, b.target)
        routing.hold("router")
        routing.kill("haproxy")
        wait_until(served_by(routing, b), seconds=SECONDS, what="HAProxy did not come back")

    def test_its_worker_alone_is_killed(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        app.want(1, HOST, backends[0].target)
        os.kill(routing.worker_pid(), signal.SIGKILL)
        wait_until(served_by(routing, backends[0]), seconds=SECONDS, what="HAProxy is gone")

    def test_what_is_wanted_while_it_is_away_is_there_when_it_is_back(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        a, b, c = backends
        app.want(1, HOST, a.target)
        routing.hold("haproxy")
        revision = app.want(1, HOST, b.target, wait=False)
        app.want(2, "new.localhost", c.target, wait=False)
        with pytest.raises(StepTimedOut, match="Is `enclave router` running, and HAProxy"):
            store.routes.wait_applied(revision, 0.5)
        routing.let_go("haproxy")
        store.routes.wait_applied(revision + 1, SECONDS)
        assert served_by(routing, b)()
        assert served_by(routing, c, "new.localhost")()

    @pytest.mark.parametrize("harm", ["file", "garbage", "folder"])
    def test_its_files_are_wiped_and_it_is_killed(
        self, routing: Routing, app: HeldApp, backends: list[Backend], harm: str
    ) -> None:
        app.want(1, HOST, backends[0].target)
        match harm:
            case "file":
                routing.main_file.unlink()
            case "garbage":
                routing.main_file.write_text(
                    "backend e1\n    server s1 127.0.0.1:1\n    nonsense\n"
                )
            case "folder":
                for path in routing.main_file.parent.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif not path.is_socket():
                        path.unlink()
        routing.kill("haproxy")
        wait_until(served_by(routing, backends[0]), seconds=SECONDS, what="HAProxy is not back")

    def test_its_socket_is_gone(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        """It cannot be told anything then, so it is ended and started anew."""
        app.want(1, HOST, backends[0].target)
        (routing.main_file.parent / "master.sock").unlink()
        app.want(1, HOST, backends[1].target)
        assert served_by(routing, backends[1])()


class TestRouter:
    def test_a_restart_disturbs_nothing_that_is_right(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        a, b, c = backends
        app.want(1, HOST, a.target)
        app.want(1, HOST, b.target)
        app.want(2, "two.localhost", c.target)
        before = _facts(routing)
        with Load(routing.http_port, HOST, [Clients(4), Clients(2, fresh=True)], is_whole) as load:
            for _ in range(3):
                pid = routing.pid("router")
                routing.kill("router")
                wait_until(restarted(routing, pid), seconds=5, what="no new router")
                app.want(2, "two.localhost", c.target)
        assert load.tally.failures == []
        assert _facts(routing) == before

    def test_killed_at_any_moment_of_a_switch(
        self, routing: Routing, app: HeldApp, store: Store
    ) -> None:
        dice = random.Random(7)
        old = Backend("v0").__enter__()
        app.want(1, HOST, old.target)
        clients = [Clients(6), Clients(3, fresh=True), Clients(4, path="/?wait=0.1")]
        with Load(routing.http_port, HOST, clients, is_whole) as load:
            for at in range(1, 16):
                new = Backend(f"v{at}").__enter__()
                moment = dice.uniform(0, 0.03)
                pid = routing.pid("router")
                killer = threading.Timer(moment, lambda: routing.kill("router"))
                killer.start()
                if at % 3 == 0:  # a reload too
                    app.want(100 + at, f"new-{at}.localhost", new.target, wait=False)
                revision = app.want(1, HOST, new.target, wait=False)
                killer.join()
                wait_until(restarted(routing, pid), seconds=5, what="no new router")
                store.routes.wait_applied(revision, SECONDS)
                store.routes.wait_drained(1, SECONDS + 20)
                old.__exit__(None, None, None)
                old = new
        assert load.tally.failures == []
        assert served_by(routing, old)()
        old.__exit__(None, None, None)

    def test_a_drain_is_taken_over(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        answers: list[tuple[int, bytes]] = []
        slow = threading.Thread(target=lambda: answers.append(routing.get(HOST, "/?wait=3")))
        slow.start()
        wait_until(lambda: a.requests == 1, seconds=5, what="the slow request did not begin")
        app.want(1, HOST, b.target)
        routing.kill("router")
        store.routes.wait_drained(1, SECONDS)
        slow.join(0.5)
        assert is_whole("/?wait=3", answers[0][1])


class TestRedis:
    def test_a_restart_is_outlasted(
        self, private_redis: PrivateRedis, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        worker = routing.worker_pid()
        with Load(routing.http_port, HOST, [Clients(4)], is_whole) as load:
            private_redis.kill()
            private_redis.start()
            app.want(1, HOST, b.target)
        assert load.tally.failures == []
        assert load.tally.bodies[b"b"] > 0
        assert routing.worker_pid() == worker

    def test_a_router_that_starts_without_it_takes_nothing_away(
        self, private_redis: PrivateRedis, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        text = routing.main_file.read_text()
        private_redis.kill()
        routing.kill("router")
        wait_until(
            lambda: "store (Redis) does not answer" in routing.log("router"),
            seconds=SECONDS,
            what="the router did not miss Redis",
        )
        assert served_by(routing, a)()
        assert routing.main_file.read_text() == text
        private_redis.start()
        app.want(1, HOST, b.target)
        assert served_by(routing, b)()

    def test_without_it_haproxy_is_looked_after(
        self, private_redis: PrivateRedis, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        app.want(1, HOST, backends[0].target)
        private_redis.kill()
        routing.main_file.unlink()
        routing.kill("haproxy")
        wait_until(served_by(routing, backends[0]), seconds=30, what="HAProxy is not back")
        private_redis.start()


def test_how_long_it_takes(routing: Routing, app: HeldApp, backends: list[Backend]) -> None:
    """Seconds from the kill to an answer; printed, and bounded."""
    app.want(1, HOST, backends[0].target)
    began = time.monotonic()
    routing.kill("haproxy")
    wait_until(served_by(routing, backends[0]), seconds=5, what="HAProxy took 5 s")
    print(f"back after {time.monotonic() - began:.2f} s")


def _facts(routing: Routing) -> tuple[object, ...]:
    """Which process serves, what its servers are, and since when none of them changed."""
    process = routing.haproxy.current()
    return process.pid, routing.haproxy.servers(process), routing.main_file.stat().st_ino
