"""Every way in which a registry does not give an image: which, what, and how to mend it."""

import datetime
import os
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from conftest import App
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from testbed.images import Images
from testbed.processes import free_port

PASSWORD = "Zq9+/never-shown"
# Not of 127/8, where an Engine does without TLS; of a range that is nobody's (RFC 5737).
ADDRESS = f"203.0.113.{1 + os.getpid() % 250}"


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked for, with which login, and what is to be read."""

    domain: str
    path: str
    tag: str
    sentence: str
    username: str = "deployer"
    password: str = PASSWORD


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An address of this machine at which the Engine insists on TLS."""
    subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    yield ADDRESS
    subprocess.run(["ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo"], check=True)


class Says(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def plain_http(address: str) -> Iterator[str]:
    with ThreadingHTTPServer((address, 0), Says) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{address}:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def self_signed(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(address, tmp_path_factory.mktemp("certificate") / "pem"))
    with ThreadingHTTPServer((address, 0), Says) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the Engine hangs up
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{address}:{server.server_port}"
        server.shutdown()


def _certificate(address: str, path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def cases(app: App, images: Images, plain_http: str, self_signed: str) -> dict[str, Case]:
    images.web("1", repository="team/web")
    known = Case(app.registry.address, "team/web", "1", "")
    right = replace(known, username=app.registry.username, password=app.registry.password)
    return {
        "wrong password": replace(
            known, sentence="refused the user name deployer and its password .* Give the right ones"
        ),
        "unknown user": replace(
            known, username="nobody", sentence="refused the user name nobody .* Give the right ones"
        ),
        "no login": replace(
            known,
            username="",
            password="",
            sentence="wants a user name and password .*--private-registry-username",
        ),
        "no such tag": replace(right, tag="9", sentence="has no tag 9 in .*push the image first"),
        "no such repository": replace(
            right, path="team/none", sentence="or no such repository at all. Check the names"
        ),
        "unreachable": replace(
            known,
            domain=f"127.0.0.1:{free_port()}",
            sentence="cannot reach .*Check that the registry runs, its host and its port",
        ),
        "no such host": replace(
            known,
            domain="registry.invalid",
            sentence="finds no host of the name .*Check the registry's name",
        ),
        "self-signed": replace(
            known,
            domain=self_signed,
            sentence="does not trust the certificate .*Put the registry's CA into",
        ),
        "plain HTTP": replace(
            known,
            domain=plain_http,
            sentence="speaks plain HTTP.*list it under insecure-registries",
        ),
    }


NAMES = (
    "wrong password",
    "unknown user",
    "no login",
    "no such tag",
    "no such repository",
    "unreachable",
    "no such host",
    "self-signed",
    "plain HTTP",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_error_names_registry_repository_and_cure_and_no_password(
    app: App, cases: dict[str, Case], name: str
) -> None:
    case = cases[name]
    login = [
        *("--private-registry-username", case.username),
        *("--private-registry-password", case.password),
    ]
    image = f"{case.domain}/{case.path}:{case.tag}"

    failed = app.deploy("--docker-image", image, *(login if case.username else ()))

    said = failed.stdout + failed.stderr
    assert failed.returncode == 1
    (error,) = re.findall("ERROR: (.*)", said)
    assert error.startswith(f"Cannot pull {image}: ")
    words = error.removeprefix(f"Cannot pull {image}: ")
    assert case.domain in words
    assert re.search(case.sentence, words), words
    if name not in ("no such host", "self-signed", "plain HTTP"):  # of any of its repositories
        assert case.path in words
    assert case.password == "" or case.password not in said
    assert app.serving() == {}


def test_every_case_is_told(cases: dict[str, Case]) -> None:
    assert tuple(cases) == NAMES
