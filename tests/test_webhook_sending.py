"""One POST, to a small server on loopback that does as receivers do, and as they should not."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from certificates import given_certificate

from courier.sending import post
from enclave.errors import NotSent
from enclave.webhook_networks import Networks

LOOPBACK = Networks.read("127.0.0.0/8")
HEADERS = {"Content-Type": "application/json", "Enclave-Delivery": "7"}
Answer = Callable[[socket.socket], None]


class Receiver:
    """Takes one request after the other on a port of 127.0.0.1 and keeps what it read."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None) -> None:
        self.requests: list[bytes] = []
        self._answer, self._tls = answer, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with suppress(OSError):
                    self._take(connection)
                connection.close()

    def _take(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        request = b""
        while not request.endswith(b"{}"):
            received = connection.recv(65536)
            if not received:
                return
            request += received
        self.requests.append(request)
        self._answer(connection)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)


@contextmanager
def receiver(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    taking = Receiver(answer, tls)
    try:
        yield taking
    finally:
        taking.close()


def saying(status: str, *headers: str, body: bytes = b"") -> Answer:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + body)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What DNS says of each host, in the order of the questions; the last answer stays."""
    answers: list[str] = []

    def getaddrinfo(_host: str, port: int, **_: object) -> list[object]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answer.split()
        ]

    monkeypatch.setattr("courier.resolver.socket.getaddrinfo", getaddrinfo)
    return answers


def test_the_request_is_whole_and_names_the_host(resolved: list[str]) -> None:
    resolved.append("127.0.0.1")
    with receiver(saying("204 No Content")) as taking:
        url = f"http://Hooks.example.com:{taking.port}/a%20b?key=1"
        assert post(url, b"{}", HEADERS, LOOPBACK) == 204
    head = taking.requests[0].decode()
    assert head.startswith("POST /a%20b?key=1 HTTP/1.1\r\n")
    assert f"host: hooks.example.com:{taking.port}\r\n" in head.lower()
    assert "Enclave-Delivery: 7\r\n" in head
    assert head.endswith("\r\n\r\n{}")


@pytest.mark.parametrize("code", [200, 302, 404, 500])
def test_the_code_is_told_and_no_redirect_is_followed(code: int) -> None:
    with receiver(saying(f"{code} So", "Location: /elsewhere")) as taking:
        assert post(f"http://127.0.0.1:{taking.port}/", b"{}", HEADERS, LOOPBACK) == code
    assert len(taking.requests) == 1


def test_no_private_address_is_connected_to() -> None:
    with receiver(saying("200 OK")) as taking:
        for host in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"):
            with pytest.raises(NotSent, match="leads to no public address"):
                post(f"http://{host}:{taking.port}/", b"{}", HEADERS, Networks())
    assert taking.requests == []


def test_dns_that_changes_its_mind_leads_nobody_elsewhere(resolved: list[str]) -> None:
    """It is asked once: what is judged is what is connected to."""
    resolved += ["127.0.0.1", "127.0.0.9"]
    with receiver(saying("200 OK")) as taking:
        url = f"http://rebinding.example.com:{taking.port}/"
        assert post(url, b"{}", HEADERS, Networks.read("127.0.0.1/32")) == 200
        assert resolved == ["127.0.0.9"]
        with pytest.raises(NotSent, match="leads to no public address"):
            post(url, b"{}", HEADERS, Networks.read("127.0.0.1/32"))


def test_of_several_addresses_those_that_may_be_reached_are_tried(resolved: list[str]) -> None:
    resolved.append("169.254.169.254 127.0.0.7 127.0.0.1")
    with receiver(saying("200 OK")) as taking:
        url = f"http://many.example.com:{taking.port}/"
        assert post(url, b"{}", HEADERS, LOOPBACK) == 200


def test_a_proxy_of_the_environment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiver(saying("200 OK")) as taking:
        assert post(f"http://127.0.0.1:{taking.port}/", b"{}", HEADERS, LOOPBACK) == 200


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotSent, match=r"127\.0\.0\.1 cannot be connected to"):
        post(f"http://127.0.0.1:{port}/", b"{}", HEADERS, LOOPBACK)


def test_a_host_that_is_not_known() -> None:
    with pytest.raises(NotSent, match=r"nowhere\.invalid is not known"):
        post("http://nowhere.invalid/", b"{}", HEADERS, LOOPBACK)


def test_an_answer_that_is_none() -> None:
    with (
        receiver(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as taking,
        pytest.raises(NotSent, match="broke"),
    ):
        post(f"http://127.0.0.1:{taking.port}/", b"{}", HEADERS, LOOPBACK)


def trickle(connection: socket.socket) -> None:
    """Send something again and again, so that no pause is long."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            connection.sendall(f"X-{number}: 1\r\n".encode())
            connection.settimeout(0.05)
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return


def test_the_deadline_is_for_all_of_it() -> None:
    with receiver(trickle) as taking:
        began = time.monotonic()
        with pytest.raises(NotSent, match=r"gave no answer within 0\.5 s"):
            post(f"http://127.0.0.1:{taking.port}/", b"{}", HEADERS, LOOPBACK, seconds=0.5)
        assert time.monotonic() - began < 3


def test_a_look_up_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(
        "courier.resolver.socket.getaddrinfo", lambda *_, **__: released.wait(30) and []
    )
    with pytest.raises(NotSent, match="was not found within"):
        post("http://slow.example.com/", b"{}", HEADERS, LOOPBACK, seconds=0.2)
    released.set()


def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        with suppress(OSError):
            for _ in range(1000):
                connection.sendall(bytes(100_000))
                sent.append(100_000)

    with receiver(endless) as taking:
        assert post(f"http://127.0.0.1:{taking.port}/", b"{}", HEADERS, LOOPBACK) == 200
    assert sum(sent) < 50_000_000


class TestTLS:
    @pytest.fixture
    def tls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
        """A server's context with a certificate for hooks.example.com that this process trusts."""
        chain, key = given_certificate("hooks.example.com")
        (tmp_path / "chain.pem").write_text(chain)
        (tmp_path / "key.pem").write_text(key)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "chain.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
        return context

    def test_the_name_is_the_urls_not_the_address(
        self, tls: ssl.SSLContext, resolved: list[str]
    ) -> None:
        asked: list[str | None] = []
        tls.sni_callback = lambda _socket, name, _context: asked.append(name)
        resolved.append("127.0.0.1")
        with receiver(saying("200 OK"), tls) as taking:
            url = f"https://hooks.example.com:{taking.port}/"
            assert post(url, b"{}", HEADERS, LOOPBACK) == 200
        assert asked == ["hooks.example.com"]

    def test_a_certificate_of_another_name_is_refused(
        self, tls: ssl.SSLContext, resolved: list[str]
    ) -> None:
        resolved.append("127.0.0.1")
        with (
            receiver(saying("200 OK"), tls) as taking,
            pytest.raises(NotSent, match="cannot be connected to"),
        ):
            post(f"https://other.example.com:{taking.port}/", b"{}", HEADERS, LOOPBACK)
        assert taking.requests == []


OURS = """
import socket, sys, threading
from courier.sending import post
from enclave.errors import NotSent
from enclave.webhook_networks import Networks

listener = socket.create_server(("93.184.216.34", 8000))
try:
    post("http://93.184.216.34:8000/", b"{}", {}, Networks(), seconds=5)
except NotSent as refused:
    print(refused)
listener.settimeout(0.1)
try:
    listener.accept()
    print("reached")
except TimeoutError:
    pass
"""


def test_the_machines_own_public_address_is_not_connected_to() -> None:
    """In a network of its own, where the machine has such an address."""
    network = "ip link set lo up && ip address add 93.184.216.34/32 dev lo"
    said = subprocess.run(
        ["unshare", "--net", "sh", "-c", f'{network} && exec "$0" -c "$1"', sys.executable, OURS],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert said == ("93.184.216.34 leads to no public address: webhooks may not reach others.\n")


def test_a_host_that_no_name_can_be_is_no_crash() -> None:
    with pytest.raises(NotSent, match="The URL is none"):
        post("https://xn--n3h.net/hook", b"{}", HEADERS, LOOPBACK)
