"""HAProxy's files: what is in them, what changes with what, and that HAProxy takes them."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from enclave.errors import Misconfigured, RouterRefused
from enclave.route import Route, Target
from enclave.settings import Settings
from router.certificate_list import default_certificate
from router.certificates import self_signed
from router.configuration import Configuration, render, whitelist_key
from router.files import MAIN, ConfigurationFiles

ROUTE = Route(7, 3, ("app-3.localhost",), (Target("10.64.0.2", 8080),))
OTHER = Route(9, 4, ("www.example.com", "example.com"), (), certificate_id=5)


def rendered(
    *routes: Route, data: Path = Path("/srv/enclave"), **settings: object
) -> Configuration:
    chosen = Settings(data=data, **settings)  # type: ignore[arg-type]
    slots = {route.endpoint_id: 8 for route in routes}
    return render(chosen, routes, slots, certificates=frozenset({5}))


def backend(text: str, name: str) -> list[str]:
    lines = text.partition(f"\nbackend {name}\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip() for line in lines]


def test_a_backend_has_its_targets_and_free_slots() -> None:
    lines = backend(rendered(ROUTE, OTHER).main, "e7")[2:]
    assert lines[0] == "server s1 10.64.0.2:8080"
    assert lines[1:] == [f"server s{at} 127.0.0.1:1 disabled" for at in range(2, 9)]


def test_a_whitelist_is_a_line_a_network_in_its_normal_form() -> None:
    networks = ("10.1.2.3/8", "10.0.0.0/0.255.255.255", "::1")
    lines = backend(rendered(replace(ROUTE, ip_whitelist=networks)).main, "e7")[2:]
    assert lines[:3] == [
        *("acl allowed src 10.0.0.0/8", "acl allowed src 10.0.0.0/8", "acl allowed src ::1/128")
    ]
    assert lines[3].startswith("http-request deny deny_status 403 ")
    assert lines[3].endswith(" unless allowed")


def test_hosts_and_certificates_have_files_that_the_main_one_names() -> None:
    configuration = rendered(ROUTE, OTHER)
    hosts, certificates, whitelists = configuration.others
    assert configuration.others[hosts] == (
        "app-3.localhost e7\nwww.example.com e9\nexample.com e9\n"
    )
    assert configuration.others[certificates] == (
        "default-localhost.pem *.localhost localhost\n"
        "certificates/5.pem www.example.com example.com\n"
    )
    keys = configuration.others[whitelists].split()[::2]
    assert keys == [whitelist_key(ROUTE), whitelist_key(OTHER)]
    for key in keys:
        assert f"str({key}),map('/srv/enclave/haproxy/{whitelists}')" in configuration.main
    assert f"map('/srv/enclave/haproxy/{hosts}',unknown)" in configuration.main
    assert f"crt-list {certificates} " in configuration.main


def test_a_certificate_that_cannot_be_served_is_not_named() -> None:
    configuration = rendered(replace(OTHER, certificate_id=6))
    assert "certificates/" not in list(configuration.others.values())[1]


def test_addresses_are_no_part_of_the_structure() -> None:
    moved = replace(ROUTE, targets=(Target("10.64.0.9", 80), Target("10.64.0.8", 80)))
    before, after = rendered(ROUTE), rendered(moved)
    assert before.structure == after.structure
    assert before.main != after.main
    assert f"description {before.structure}\n" in before.main


@pytest.mark.parametrize(
    "changed",
    [
        rendered(replace(ROUTE, hosts=("other.localhost",))),
        rendered(replace(ROUTE, ip_whitelist=("10.0.0.0/8",))),
        rendered(replace(ROUTE, certificate_id=5)),
        rendered(replace(ROUTE, endpoint_id=8)),
        rendered(ROUTE, OTHER),
        rendered(),
        rendered(ROUTE, router_http_port=80),
        rendered(ROUTE, proxies="127.0.0.1"),
        rendered(ROUTE, router_hosts_port=8082),
        rendered(ROUTE, certbot_port=8083),
        render(Settings(data=Path("/srv/enclave")), [ROUTE], {7: 16}),
    ],
    ids=[
        "host",
        "whitelist",
        "certificate",
        "id",
        "more",
        "none",
        "port",
        "proxy",
        "hosts",
        "certbot",
        "slots",
    ],
)
def test_all_else_is(changed: Configuration) -> None:
    assert changed.structure != rendered(ROUTE).structure


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a\\b", "a$b", "a%b", "a,b", "a\nb"], ids=repr)
def test_a_directory_that_would_be_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="HAProxy cannot have"):
        rendered(ROUTE, data=Path("/srv") / name)


def test_a_proxy_is_an_address() -> None:
    with pytest.raises(Misconfigured, match="ENCLAVE_PROXIES"):
        rendered(ROUTE, proxies="127.0.0.1 evil")
    assert "acl from_proxy src 0.0.0.0/0 ::/0\n" in rendered(ROUTE, proxies="*").main


class TestFiles:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        data = tmp_path / "da ta"
        (data / "haproxy").mkdir(parents=True)
        (data / "haproxy" / default_certificate("localhost")).write_bytes(self_signed("localhost"))
        return data

    def test_haproxy_takes_them_without_a_warning(self, data: Path) -> None:
        whitelisted = replace(ROUTE, ip_whitelist=("10.0.0.0/8", "::1"))
        ports = {"router_hosts_port": 8082, "certbot_port": 8083}
        other = replace(OTHER, certificate_id=None)
        configuration = rendered(whitelisted, other, data=data, **ports)
        ConfigurationFiles(data / "haproxy").write(configuration)
        command = ["haproxy", "-c", "-f", str(data / "haproxy" / MAIN)]
        checked = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "WARNING" not in checked.stderr

    def test_what_haproxy_would_not_take_changes_no_file(self, data: Path) -> None:
        files = ConfigurationFiles(data / "haproxy")
        files.write(rendered(ROUTE, data=data))
        good = (data / "haproxy" / MAIN).read_text()
        bad = rendered(ROUTE, OTHER, data=data)  # its certificate is not there
        with pytest.raises(RouterRefused, match=r"certificates/5\.pem"):
            files.write(bad)
        assert (data / "haproxy" / MAIN).read_text() == good

    def test_they_are_private_and_old_ones_go(self, data: Path) -> None:
        files = ConfigurationFiles(data / "haproxy")
        (data / "haproxy" / ".haproxy.cfg.half").write_text("of a killed router")
        files.write(rendered(ROUTE, data=data))
        second = rendered(replace(ROUTE, hosts=("b.localhost",)), data=data)
        files.write(second)
        found = {path.name for path in (data / "haproxy").iterdir()}
        assert found == {MAIN, default_certificate("localhost"), *second.others}
        modes = {path.stat().st_mode & 0o777 for path in (data / "haproxy").glob("h*")}
        assert modes == {0o600}

    @pytest.mark.parametrize("harm", ["gone", "changed"])
    @pytest.mark.parametrize("which", ["main", "hosts"])
    def test_what_somebody_did_to_them_is_seen_and_mended(
        self, data: Path, harm: str, which: str
    ) -> None:
        files = ConfigurationFiles(data / "haproxy")
        assert not files.are_untouched()
        configuration = rendered(ROUTE, data=data)
        files.write(configuration)
        assert files.are_untouched()
        name = MAIN if which == "main" else next(iter(configuration.others))
        path = data / "haproxy" / name
        before = path.read_text()
        path.unlink() if harm == "gone" else path.write_text("x")
        assert not files.are_untouched()
        files.write(configuration)
        assert path.read_text() == before
        assert files.are_untouched()
