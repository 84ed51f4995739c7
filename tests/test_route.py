"""What a route may hold: it becomes lines of HAProxy's configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.codec import decode, encode
from enclave.errors import InvalidRoute
from enclave.route import Route, Target, default_host, require_host, require_network

TARGET = Target("10.64.0.2", 8080)


def route(*hosts: str, **more: object) -> Route:
    return Route(1, 2, hosts, more.pop("targets", (TARGET,)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["localhost", "app-1.localhost", "a.b.c", "1.example.com", "x" * 63 + ".com", "a"]
)
def test_host_names(host: str) -> None:
    assert route(host).hosts == (host,)


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "a..b", ".a", "a.", "-a", "a-", "A.example.com", "a_b", "*.example.com"),
        *("a b", "a\tb", "a\nb", "a\n", "\na", "a\0", "a#b", "a e2", "a,b", "a%b", 'a"', "a'"),
        *("a:80", "é.fr", "\u0430.com", "x" * 64, ".".join(["x" * 63] * 4), "[::1]", "a\\", "$a"),
        "a\n    server evil 6.6.6.6:80",
    ],
    ids=repr,
)
def test_what_is_no_host_name(host: str) -> None:
    with pytest.raises(InvalidRoute, match="is not a host name"):
        route(host)


@given(st.text(max_size=20))
def test_no_host_has_anything_but_its_characters(text: str) -> None:
    try:
        require_host(text)
    except InvalidRoute:
        return
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


@pytest.mark.parametrize(
    "address", ["", "localhost", "::1", "10.0.0", "10.0.0.256", "10.0.0.1\n", "10.0.0.1 disabled"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidRoute, match="is not an IPv4 address"):
        Target(address, 80)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port(port: int) -> None:
    with pytest.raises(InvalidRoute, match="is not a port"):
        Target("10.0.0.1", port)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.0.0.1/8", "127.0.0.1", "2001:db8::/32"])
def test_networks(network: str) -> None:
    require_network(network)


@pytest.mark.parametrize("network", ["", "all", "10.0.0.0/33", "10.0.0.0/8\nx", "fe80::1%a b"])
def test_what_is_no_network(network: str) -> None:
    with pytest.raises(InvalidRoute):
        route("a", ip_whitelist=(network,))


def test_nothing_twice() -> None:
    for double in (
        lambda: route("a", "a"),
        lambda: route("a", targets=(TARGET, TARGET)),
        lambda: route("a", ip_whitelist=("10.0.0.1", "10.0.0.1")),
    ):
        with pytest.raises(InvalidRoute, match="twice"):
            double()


def test_what_comes_from_the_store_is_judged_as_well() -> None:
    text = encode(route("a", "b", ip_whitelist=("10.0.0.0/8",), certificate_id=3))
    assert decode(Route, text) == route("a", "b", ip_whitelist=("10.0.0.0/8",), certificate_id=3)
    with pytest.raises(InvalidRoute):
        decode(Route, text.replace('"a"', '"a e2"'))


def test_the_default_host() -> None:
    assert default_host(7, "apps.example.com") == "app-7.apps.example.com"
