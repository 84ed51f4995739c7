"""Requests reach what is wanted: hosts, certificates, whitelists, and switches under load."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from certificates import chained_certificate, given_certificate, names_of, served_certificate
from held_app import HeldApp

from enclave.store import Store
from testbed.backend import Backend, is_whole
from testbed.load import Clients, Load
from testbed.processes import free_port, wait_until
from testbed.routing import Routing

SECONDS = 20
HOST = "app-1.localhost"


@pytest.fixture
def routing(redis_url: str, store: Store, tmp_path: Path) -> Iterator[Routing]:
    assert store  # which makes the keys
    keys = (tmp_path / "secret.keys").read_text().strip()
    with Routing(redis_url, keys, settings={"ENCLAVE_DRAIN_SECONDS": "3"}) as routing:
        yield routing


@pytest.fixture
def app(store: Store) -> HeldApp:
    return HeldApp(store)


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Backend(name)) for name in "abc"]


def name_of(answer: tuple[int, bytes]) -> str:
    assert answer[0] == 200, answer
    return answer[1].split(b" ")[0].decode()


class TestWhoAnswers:
    def test_hosts_lead_to_their_own_endpoint(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        app.want(2, "www.example.com", b.target)

        assert name_of(routing.get(HOST)) == "a"
        assert name_of(routing.get("www.example.com")) == "b"
        assert name_of(routing.get("WWW.Example.com:8081")) == "b"

    @pytest.mark.parametrize(
        "host",
        ["app-2.localhost", "", "e1", "app-1.localhost,app-1.localhost", "*", "a" * 3000, "%[src]"],
        ids=["other", "empty", "backend", "list", "star", "long", "expression"],
    )
    def test_a_host_nobody_has_gets_a_page_that_says_so(
        self, routing: Routing, app: HeldApp, backends: list[Backend], host: str
    ) -> None:
        app.want(1, HOST, backends[0].target)
        status, body = routing.get(host)
        assert (status, body) == (404, b"No app has this name.\n")

    @pytest.mark.parametrize(
        "head",
        [
            b"GET / HTTP/1.1\r\nHost: app-1.localhost\r\nHost: other.localhost\r\n\r\n",
            b"GET http://other.localhost/ HTTP/1.1\r\nHost: app-1.localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app-1.localhost\x00x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: app-1.localhost\r\n x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : app-1.localhost\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: app-1.localhost\r\nContent-Length: 1\r\n"
            b"Content-Length: 2\r\n\r\nxx",
        ],
        ids=["two-hosts", "other-in-line", "nul", "folded", "space", "two-lengths"],
    )
    def test_requests_that_could_be_read_in_two_ways_reach_no_app(
        self, routing: Routing, app: HeldApp, backends: list[Backend], head: bytes
    ) -> None:
        app.want(1, HOST, backends[0].target)
        with socket.create_connection(("127.0.0.1", routing.http_port), timeout=10) as client:
            client.sendall(head)
            answer = client.recv(4096)
        assert answer.split(b" ")[1] in (b"400", b"404"), answer
        assert backends[0].requests == 0

    def test_a_body_whose_length_could_be_read_in_two_ways_reaches_no_app(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        app.want(1, HOST, backends[0].target)
        for field in (
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: \x0bchunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Content-Length: +3",
            "Content-Length:",
            "X: a\rContent-Length: 3",
        ):
            head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{field}\r\n\r\n0\r\n\r\n"
            with socket.create_connection(("127.0.0.1", routing.http_port), timeout=10) as client:
                client.sendall(head.encode())
                answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 400 "), (field, answer)
        assert backends[0].requests == 0

    def test_an_endpoint_without_a_container_says_so(self, routing: Routing, app: HeldApp) -> None:
        app.want(1, HOST)
        status, body = routing.get(HOST)
        assert (status, body) == (503, b"No container of this app takes requests now.\n")

    def test_a_removed_endpoint_is_unknown(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        app.want(1, HOST, backends[0].target)
        store.routes.wait_applied(store.routes.remove(app.lease, 1), SECONDS)
        assert routing.get(HOST)[0] == 404

    def test_only_the_whitelisted_get_an_answer(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        target = backends[0].target
        app.want(1, HOST, target, ip_whitelist=("192.0.2.0/24", "2001:db8::/32"))
        status, body = routing.get(HOST, **{"X-Forwarded-For": "192.0.2.1"})
        assert (status, body) == (403, b"This app does not answer your address.\n")

        app.want(1, HOST, target, ip_whitelist=("192.0.2.0/24", "127.0.0.1"))
        assert name_of(routing.get(HOST)) == "a"

    def test_a_new_whitelist_ends_the_connections_that_began_with_the_old(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        """A connection of HTTP/2 lasts as long as it is used, and with it an old process."""
        target = backends[0].target
        for host in (HOST, "www.example.com"):
            app.want(1 if host == HOST else 2, host, target)

        def status(client: httpx.Client, host: str) -> int:
            url = f"https://127.0.0.1:{routing.https_port}/"
            answer = client.get(url, headers={"Host": host})
            assert answer.http_version == "HTTP/2"
            return answer.status_code

        with ExitStack() as stack:
            closed_out, let_in, other = (
                stack.enter_context(httpx.Client(http2=True, verify=False, trust_env=False))
                for _ in range(3)
            )
            assert status(closed_out, HOST) == status(let_in, HOST) == 200
            assert status(other, "www.example.com") == 200
            worker = routing.worker_pid()
            app.want(1, HOST, target, ip_whitelist=("192.0.2.0/24",))
            assert routing.worker_pid() != worker

            with pytest.raises(httpx.RemoteProtocolError):
                status(closed_out, HOST)
            assert status(closed_out, HOST) == 403
            app.want(1, HOST, target, ip_whitelist=("127.0.0.1",))
            with pytest.raises(httpx.RemoteProtocolError):
                status(let_in, HOST)
            assert status(let_in, HOST) == 200
            assert status(other, "www.example.com") == 200
            assert len(routing.haproxy.processes()) > 1  # the other's connection is still the first

    def test_a_whitelist_may_be_long(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        networks = tuple(f"10.{at}.0.0/16" for at in range(250))
        app.want(1, HOST, backends[0].target, ip_whitelist=(*networks, "127.0.0.0/8"))
        assert name_of(routing.get(HOST)) == "a"

    def test_an_app_is_told_who_asks_and_no_client_can_say_otherwise(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        app.want(1, HOST, backends[0].target)
        lies = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
        head = routing.get(HOST, "/headers", **lies)[1].decode().lower().split("\r\n")
        forwarded = {line for line in head if line.startswith("x-forwarded")}
        assert forwarded == {
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            f"x-forwarded-port: {routing.http_port}",
        }


def test_a_proxy_in_front_is_believed_if_it_is_named(
    redis_url: str, app: HeldApp, backends: list[Backend]
) -> None:
    settings = {"ENCLAVE_PROXIES": "127.0.0.1"}
    with Routing(redis_url, settings=settings) as routing:
        app.want(1, HOST, backends[0].target, ip_whitelist=("192.0.2.0/24",))
        told = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7", "X-Forwarded-Proto": "https"}
        head = routing.get(HOST, "/headers", **told)[1].decode().lower()
        assert "x-forwarded-for: 192.0.2.7\r\n" in head
        assert "x-forwarded-proto: https\r\n" in head
        assert routing.get(HOST, **{"X-Forwarded-For": "192.0.2.7, 6.6.6.6"})[0] == 403


def test_caddy_can_ask_whose_a_host_is_and_certbot_gets_its_challenges(
    redis_url: str, app: HeldApp, backends: list[Backend]
) -> None:
    a, certbot, _ = backends
    hosts_port = free_port()
    settings = {
        "ENCLAVE_ROUTER_HOSTS_PORT": str(hosts_port),
        "ENCLAVE_CERTBOT_PORT": str(certbot.target.port),
    }
    with Routing(redis_url, settings=settings) as routing:
        app.want(1, "www.example.com", a.target)

        def status_of(query: str) -> int:
            url = f"http://127.0.0.1:{hosts_port}/?{query}"
            return httpx.get(url, timeout=10, trust_env=False).status_code

        assert status_of("domain=www.example.com") == status_of("domain=WWW.example.com") == 200
        for query in ("", "domain=", "domain=example.com", "domain=e1", "domain=%0a", "domain=."):
            assert status_of(query) == 404, query

        assert name_of(routing.get("www.example.com")) == "a"
        for host in ("www.example.com", "not.yet.example.com"):
            assert name_of(routing.get(host, "/.well-known/acme-challenge/x")) == "b"
        certbot.__exit__(None, None, None)
        status, body = routing.get("www.example.com", "/.well-known/acme-challenge/x")
        assert (status, body) == (503, b"No certificate is being asked for now.\n")


class TestCertificates:
    def names(self, routing: Routing, server_name: str) -> set[str]:
        """Return the names of the certificate served for a name."""
        return names_of(served_certificate(routing.https_port, server_name))

    def test_each_host_gets_its_own(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        chain, key = given_certificate("www.example.com", "shop.example.com")
        given = store.certificates.add(app.environment_id, chain, key)
        app.want(1, HOST, backends[0].target)
        app.want(2, "www.example.com", backends[1].target, certificate_id=given.id)

        assert self.names(routing, HOST) == {"*.localhost", "localhost"}
        assert self.names(routing, "www.example.com") == {"www.example.com", "shop.example.com"}
        # A certificate serves the hosts of the endpoints that name it, whatever else it is for.
        assert self.names(routing, "shop.example.com") == {"*.localhost", "localhost"}

    def test_a_given_certificate_is_trusted_by_who_trusts_its_issuer(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        chain, key, root = chained_certificate("www.example.com")
        given = store.certificates.add(app.environment_id, chain, key)
        app.want(2, "www.example.com", backends[1].target, certificate_id=given.id)
        context = ssl.create_default_context(cadata=root)
        address = ("127.0.0.1", routing.https_port)
        with (
            socket.create_connection(address, timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="www.example.com") as client,
        ):
            client.sendall(b"GET /headers HTTP/1.0\r\nHost: www.example.com\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(4096), b"")).decode().lower()
        assert "x-forwarded-proto: https" in answer

    def test_a_new_one_is_served_from_then_on_and_no_request_fails(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        target = backends[1].target
        app.want(2, "www.example.com", target)
        clients = [Clients(4), Clients(2, fresh=True), Clients(2, path="/?wait=0.2")]
        with Load(routing.http_port, "www.example.com", clients, is_whole) as load:
            for at in range(5):
                names = {"www.example.com", f"v{at}.example.com"}
                given = store.certificates.add(app.environment_id, *given_certificate(*names))
                app.want(2, "www.example.com", target, certificate_id=given.id)
                assert self.names(routing, "www.example.com") == names
        assert load.tally.failures == []
        assert load.tally.requests > 100

    def test_only_haproxy_can_read_a_key(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        chain, key = given_certificate("www.example.com")
        given = store.certificates.add(app.environment_id, chain, key)
        app.want(2, "www.example.com", backends[1].target, certificate_id=given.id)
        folder = routing.directory / "haproxy"
        found = sorted(folder.rglob("*.pem"))
        assert [path.name for path in found] == [f"{given.id}.pem", "default-localhost.pem"]
        assert {path.stat().st_mode & 0o777 for path in found} == {0o600}

        app.want(2, "www.example.com", backends[1].target)
        assert [path.name for path in folder.rglob("*.pem")] == ["default-localhost.pem"]

    def test_a_certificate_that_is_gone_costs_nobody_else_anything(
        self, routing: Routing, app: HeldApp, backends: list[Backend]
    ) -> None:
        app.want(2, "www.example.com", backends[1].target, certificate_id=99)
        assert self.names(routing, "www.example.com") == {"*.localhost", "localhost"}
        assert name_of(routing.get("www.example.com")) == "b"


class TestSwitching:
    def test_no_request_fails_in_a_hundred_switches(
        self, routing: Routing, app: HeldApp, store: Store
    ) -> None:
        """Each generation is killed, connections and all, once it has drained."""
        old = Backend("v0").__enter__()
        app.want(1, HOST, old.target)
        worker = routing.worker_pid()
        clients = [
            Clients(8),
            Clients(4, fresh=True),
            Clients(8, path="/?wait=0.2"),
            Clients(2, path="/?wait=0.1", fresh=True),
        ]
        with Load(routing.http_port, HOST, clients, is_whole) as load:
            at = 0
            while at < 100 or load.tally.requests < 10_000:
                at += 1
                new = Backend(f"v{at}").__enter__()
                app.want(1, HOST, new.target)
                store.routes.wait_drained(1, SECONDS)
                old.__exit__(None, None, None)
                old = new
        old.__exit__(None, None, None)

        assert load.tally.failures == []
        assert load.tally.requests >= 10_000
        assert len(load.tally.bodies) > 90  # each generation had its turn
        assert routing.worker_pid() == worker  # not one reload

    def test_a_request_under_way_ends_where_it_began(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        answers: list[tuple[int, bytes]] = []
        slow = threading.Thread(target=lambda: answers.append(routing.get(HOST, "/?wait=1")))
        slow.start()
        wait_until(lambda: a.requests == 1, seconds=5, what="the slow request did not begin")

        app.want(1, HOST, b.target)

        assert store.routes.is_draining(1)
        assert name_of(routing.get(HOST)) == "b"
        store.routes.wait_drained(1, SECONDS)
        slow.join(10)
        assert name_of(answers[0]) == "a"
        assert is_whole("/?wait=1", answers[0][1])

    def test_what_takes_too_long_is_cut_off(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        with socket.create_connection(("127.0.0.1", routing.http_port), timeout=20) as client:
            client.sendall(f"GET /?wait=30 HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            app.want(1, HOST, b.target)
            store.routes.wait_drained(1, SECONDS)  # the limit here is 3 s
            while client.recv(4096):
                pass
        assert name_of(routing.get(HOST)) == "b"

    def test_back_to_the_old_ones_before_they_have_drained(
        self, routing: Routing, app: HeldApp, store: Store, backends: list[Backend]
    ) -> None:
        a, b, _ = backends
        app.want(1, HOST, a.target)
        worker = routing.worker_pid()
        slow = threading.Thread(target=lambda: routing.get(HOST, "/?wait=1"))
        slow.start()
        wait_until(lambda: a.requests == 1, seconds=5, what="the slow request did not begin")
        app.want(1, HOST, b.target)
        assert store.routes.is_draining(1)
        app.want(1, HOST, a.target)
        assert name_of(routing.get(HOST)) == "a"
        assert not store.routes.is_draining(1)
        slow.join(10)
        assert routing.worker_pid() == worker

    def test_more_targets_than_there_is_room_for(
        self, routing: Routing, app: HeldApp, store: Store
    ) -> None:
        with ExitStack() as stack:
            many = [stack.enter_context(Backend(f"m{at}")) for at in range(20)]
            app.want(1, HOST, many[0].target)
            clients = [Clients(4), Clients(2, path="/?wait=0.5"), Clients(2, fresh=True)]
            with Load(routing.http_port, HOST, clients, is_whole) as load:
                for upto in range(2, 21):
                    app.want(1, HOST, *(each.target for each in many[upto // 2 : upto]))
            assert load.tally.failures == []
            seen = {name_of(routing.get(HOST)) for _ in range(40)}
            assert seen == {f"m{at}" for at in range(10, 20)}
            store.routes.wait_drained(1, SECONDS)


def test_no_request_fails_when_endpoints_come_and_go(
    routing: Routing, app: HeldApp, store: Store
) -> None:
    """Reloads and switches by turns, under load; every other endpoint is a new one."""
    with ExitStack() as stack:
        old = stack.enter_context(Backend("v0"))
        app.want(1, HOST, old.target)
        clients = [Clients(8), Clients(4, fresh=True), Clients(6, path="/?wait=0.3")]
        with Load(routing.http_port, HOST, clients, is_whole) as load:
            for at in range(1, 16):
                app.want(100 + at, f"new-{at}.localhost", old.target)
                new = Backend(f"v{at}").__enter__()
                app.want(1, HOST, new.target)
                store.routes.wait_drained(1, SECONDS)
                old.__exit__(None, None, None)
                old = new
                app.want(100 + at, f"new-{at}.localhost")
        assert load.tally.failures == []
        assert load.tally.requests > 1000
        old.__exit__(None, None, None)
