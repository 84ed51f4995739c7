"""Caddy in front, as ``deploy/Caddyfile`` has it: who gets a certificate, and who is who then."""

import ssl
from collections.abc import Iterator

import httpx
import pytest
from conftest import App, admin_of

from testbed.caddy import Caddy
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import free_port
from testbed.registry import PrivateRegistry

API = "enclave.example.com"
OWN = "www.example.com"
CLIENT = "127.0.0.2"


@pytest.fixture
def platform(engine: PrivateEngine) -> Iterator[Installation]:
    settings = {
        "ENCLAVE_PUBLIC_URL": f"https://{API}",
        "ENCLAVE_PROXIES": "127.0.0.1",
        "ENCLAVE_ROUTER_HOSTS_PORT": str(free_port()),
    }
    with Installation(engine.url, settings=settings) as platform:
        yield platform


def test_each_endpoint_gets_a_certificate_and_nobody_else(
    platform: Installation, registry: PrivateRegistry, images: Images
) -> None:
    app = App.create("shop", admin_of(platform, "ann@example.com"), registry, platform)
    assert app.deploy_image(images.web("1")).returncode == 0
    create = ("endpoints:https:create", "--app", "shop", "cmd")
    for name in (["--default-domain"], ["--domain", OWN, "--ip-whitelist", CLIENT]):
        created = app.owner.aptible(*create, *name)
        assert created.returncode == 0, created.stdout + created.stderr
    host = f"app-{platform.app_id(app.name)}.localhost"

    with Caddy(platform.environment) as caddy:
        address = f"{API}:{caddy.https_port}"
        remote = f"https://anyone:{app.owner.token()}@{address}/{app.name}.git"
        repository = app.owner.repository(app.name, remote=remote)
        repository.commit(Procfile="cmd: exec serve\n")
        found = f"http.curloptResolve={address}:127.0.0.1"
        trust = f"http.sslCAInfo={caddy.root}"
        pushed = repository.git("-c", found, "-c", trust, "push", "aptible", "master")
        assert pushed.returncode == 0, pushed.stderr
        assert "remote: INFO: Deploy succeeded." in pushed.stderr

        # A log's address, too, goes over TLS, as the toolbelt takes for granted (API.md).
        number, bearer = platform.operations(app.name)[0], f"Bearer {app.owner.token()}"
        status, url = caddy.get(API, f"/operations/{number}/logs", Authorization=bearer)
        assert status == 200
        assert url.startswith(f"https://{API}/operations/{number}/log?token=")
        log = caddy.get(API, url.removeprefix(f"https://{API}"))[1]
        assert "INFO: Deploy succeeded." in log

        assert caddy.get(host) == (200, "web 1\n")
        redirect = httpx.get(
            f"http://127.0.0.1:{caddy.http_port}/", headers={"Host": host}, trust_env=False
        )
        assert redirect.is_redirect

        # What a client says of itself counts for nothing, and the whitelist sees the client.
        lies = {
            "X-Forwarded-For": CLIENT,
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Port": "80",
        }
        told = caddy.get(host, "/cgi-bin/env", source="127.0.0.3", **lies)[1].splitlines()
        assert [line for line in sorted(told) if line.startswith("HTTP_X_FORWARDED")] == [
            "HTTP_X_FORWARDED_FOR=127.0.0.3",
            f"HTTP_X_FORWARDED_HOST={host}",
            "HTTP_X_FORWARDED_PORT=443",
            "HTTP_X_FORWARDED_PROTO=https",
        ]
        assert caddy.get(OWN, source=CLIENT)[0] == 200
        assert caddy.get(OWN, **lies)[0] == 403

        for unknown in ("app-99.localhost", "localhost", "shop.example.com", "example.com"):
            with pytest.raises(ssl.SSLError):
                caddy.get(unknown)
        assert caddy.certificates() == {API, host, OWN}
