"""Which addresses webhooks may reach: no way leads to this machine or its neighbours."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis.strategies import integers, ip_addresses, sampled_from

from enclave.webhook_networks import Networks

NONE = Networks()
PRIVATE = [
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "192.0.2.0/24", "198.18.0.0/15", "203.0.113.0/24"),
        *("192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
EMBEDDED = [
    IPv6Address("::ffff:0:0"),  # mapped
    IPv6Address("::"),  # "compatible", long obsolete
    IPv6Address("64:ff9b::"),  # NAT64
]


def private_addresses() -> object:
    return sampled_from(PRIVATE).flatmap(
        lambda network: integers(0, network.num_addresses - 1).map(lambda n: network[n])
    )


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.31.0.1"),
        *("192.168.1.1", "100.100.100.200", "224.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
        *("2001::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1"),
    ],
)
def test_refused(address: str) -> None:
    assert not NONE.allow(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.128.0.0"),
        *("2606:4700::1111", "2a00:1450:4001::1", "::ffff:1.1.1.1", "64:ff9b::101:101"),
        "2002:101:101::1",
    ],
)
def test_public(address: str) -> None:
    assert NONE.allow(address)


@given(private_addresses())  # type: ignore[arg-type]
def test_no_ipv6_spelling_leads_to_a_private_address(address: IPv4Address) -> None:
    assert not NONE.allow(str(address))
    spelled = [IPv6Address(int(prefix) + int(address)) for prefix in EMBEDDED]
    spelled.append(IPv6Address((0x2002 << 112) + (int(address) << 80) + 1))
    assert [str(each) for each in spelled if NONE.allow(str(each))] == []


@given(ip_addresses())
def test_what_is_allowed_is_allowed_and_nothing_else_is_changed(
    address: IPv4Address | IPv6Address,
) -> None:
    assert Networks.read(f"{address}").allow(str(address))
    other = Networks.read("10.20.0.0/16, fd00::/8")
    inside = any(address in network for network in other.allowed)
    if NONE.allow(str(address)):
        assert other.allow(str(address))
    elif isinstance(address, IPv4Address):
        assert other.allow(str(address)) is inside


def test_an_allowed_network_counts_for_the_ways_to_it() -> None:
    allowed = Networks.read("10.20.0.0/16")
    assert allowed.allow("10.20.3.4")
    assert allowed.allow("::ffff:10.20.3.4")
    assert not allowed.allow("10.21.0.1")
    assert not allowed.allow("::ffff:10.21.0.1")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "intranet", "10.0.0.0/8;::1"])
def test_what_is_no_network_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write networks as"):
        Networks.read(text)
