"""What an endpoint may be called, and where it leads by itself (API.md, ``/vhosts/N``)."""

import pytest

from enclave.endpoint import Endpoint, check_endpoint, default_port
from enclave.errors import InvalidInput


@pytest.mark.parametrize(
    ("domain", "canonical"),
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("www.example.com.", "www.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_names_are_canonical(domain: str, canonical: str) -> None:
    found, _ = check_endpoint(default=False, domain=domain, port=None, ip_whitelist=())
    assert found == canonical


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "localhost"},
        {"domain": "-a.example.com"},
        {"domain": "a b.example.com"},
        {"domain": "a.example.com:80"},
        {"domain": "a.example.com\nserver x"},
        {"domain": "a" * 64 + ".example.com"},
        {"domain": None},
        {"default": True},
        {"port": 0},
        {"port": 65536},
        {"ip_whitelist": ("everybody",)},
        {"ip_whitelist": ("10.0.0.0/33",)},
        {"ip_whitelist": ("10.0.0.1",) * 51},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    given = {"default": False, "domain": "a.example.com", "port": None, "ip_whitelist": ()}
    with pytest.raises(InvalidInput):
        check_endpoint(**{**given, **wrong})  # type: ignore[arg-type]


def test_a_host_in_a_network_stands_for_the_network() -> None:
    _, networks = check_endpoint(
        default=True,
        domain=None,
        port=80,
        ip_whitelist=("10.1.2.3/8", "192.0.2.1", "2001:db8::/32"),
    )
    assert networks == ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")


def test_the_default_name_is_the_apps() -> None:
    endpoint = Endpoint(1, 7, "web", "2026-01-01", default=True)
    assert endpoint.host("apps.example.com") == "app-7.apps.example.com"


@pytest.mark.parametrize(
    ("exposed", "port"), [((), None), ((80,), 80), ((80, 3000), 3000), ((9, 10), 10)]
)
def test_the_lexicographically_lowest_port_counts(
    exposed: tuple[int, ...], port: int | None
) -> None:
    assert default_port(exposed) == port
