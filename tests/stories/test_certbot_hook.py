"""certbot's deploy hook: what it renewed is served from then on, and nobody notices."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Issued, names_of, served_certificate
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from held_app import HeldApp

from enclave.store import Store
from testbed.backend import Backend, is_whole
from testbed.load import Clients, Load
from testbed.processes import wait_until
from testbed.routing import Routing

HOOK = Path(__file__).parents[2] / "deploy" / "certbot-hook"
HOST = "www.example.com"
ALL = "*.localhost"
STRICT = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = strict
[strict]
CipherString = DEFAULT@SECLEVEL=3
"""


@dataclass(frozen=True)
class Certbot:
    """Renews certificates as certbot does: into a folder, then the hook is run."""

    directory: Path
    environment: dict[str, str]

    def renew(
        self, *names: str, broken: bool = False, issued: Issued | None = None
    ) -> tuple[bytes, str]:
        """Return the new certificate (DER) and what the hook said; raises when it failed."""
        lineage = self.directory / "live" / names[0].removeprefix("*.")
        lineage.mkdir(parents=True, exist_ok=True)
        issued = issued or Issued(*names)
        (lineage / "fullchain.pem").write_text(issued.pem)
        key = Issued(*names) if broken else issued
        (lineage / "privkey.pem").write_text(key.key_pem())
        told = {"RENEWED_LINEAGE": str(lineage), "RENEWED_DOMAINS": " ".join(names)}
        finished = subprocess.run(
            [str(HOOK)],
            env={**self.environment, **told},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return issued.certificate.public_bytes(serialization.Encoding.DER), finished.stdout

    def enclave(self, *arguments: str) -> str:
        """Run ``enclave certificate …``; return what it printed."""
        command = [sys.executable, "-m", "admin", "certificate", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout


@pytest.fixture
def routing(
    request: pytest.FixtureRequest, redis_url: str, store: Store, tmp_path: Path
) -> Iterator[Routing]:
    """With the parameter ``strict``, on a machine whose OpenSSL asks for 128 bits."""
    assert store  # which makes the keys
    settings = {}
    if getattr(request, "param", "") == "strict":
        settings["OPENSSL_CONF"] = str(tmp_path / "openssl.cnf")
        (tmp_path / "openssl.cnf").write_text(STRICT)
    keys = (tmp_path / "secret.keys").read_text().strip()
    with Routing(redis_url, keys, settings=settings) as routing:
        yield routing


@pytest.fixture
def certbot(routing: Routing, tmp_path: Path) -> Certbot:
    ours = str(Path(sys.executable).parent / "enclave")
    return Certbot(tmp_path / "letsencrypt", {**routing.environment, "ENCLAVE": ours})


def test_what_is_renewed_is_served_and_no_request_fails(
    routing: Routing, certbot: Certbot, store: Store
) -> None:
    app = HeldApp(store)
    with Backend("a") as backend:
        app.want(1, "app-1.localhost", backend.target)
        app.want(2, HOST, backend.target)
        assert names_of(served_certificate(routing.https_port, HOST)) == {ALL, "localhost"}

        clients = [Clients(4), Clients(2, fresh=True), Clients(2, path="/?wait=0.2")]
        with Load(routing.http_port, HOST, clients, is_whole) as load:
            first, said = certbot.renew(HOST)
            assert said.startswith(f"Certificate 1 serves {HOST} until ")
            assert served_certificate(routing.https_port, HOST) == first
            second, _ = certbot.renew(HOST)
            assert served_certificate(routing.https_port, HOST) == second
            below, _ = certbot.renew(ALL)
            for name in ("app-1.localhost", "nobody.example.com"):
                assert served_certificate(routing.https_port, name) == below
            assert served_certificate(routing.https_port, HOST) == second
        assert load.tally.failures == []
        assert load.tally.requests > 100

    # What was replaced is gone: sealed in the store, and as a file.
    assert [each.id for each in store.own_certificates.all()] == [3, 2]
    directory = routing.directory / "haproxy" / "certificates"
    wait_until(
        lambda: sorted(path.name for path in directory.iterdir()) == ["2.pem", "3.pem"],
        seconds=20,
        what="the file of what was replaced is still there",
    )


@pytest.mark.parametrize("routing", ["strict"], indirect=True)
def test_what_the_router_cannot_serve_replaces_nothing(routing: Routing, certbot: Certbot) -> None:
    """Our rules take it; the OpenSSL of the machine with HAProxy does not."""
    good, _ = certbot.renew(HOST)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        certbot.renew(HOST, issued=Issued(HOST, key=rsa.generate_private_key(65537, 2048)))
    assert "Certificate 2 cannot be served: OpenSSL does not take it" in failed.value.stderr
    assert served_certificate(routing.https_port, HOST) == good
    listed = certbot.enclave("list").splitlines()
    assert [line.split("\t")[0] for line in listed] == ["1"]
    newer, _ = certbot.renew(HOST)
    assert served_certificate(routing.https_port, HOST) == newer


def test_what_cannot_be_served_replaces_nothing(routing: Routing, certbot: Certbot) -> None:
    good, _ = certbot.renew(HOST)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        certbot.renew(HOST, broken=True)
    assert "the private key belongs to another certificate" in failed.value.stderr
    assert served_certificate(routing.https_port, HOST) == good
    assert certbot.enclave("list").split("\t")[3] == f"{HOST}\n"

    assert certbot.enclave("remove", "1") == "Removed.\n"
    assert names_of(served_certificate(routing.https_port, HOST)) == {ALL, "localhost"}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        certbot.enclave("remove", "1")
    assert "no certificate 1" in failed.value.stderr
