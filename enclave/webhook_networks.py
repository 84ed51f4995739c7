"""Which addresses webhooks may reach: public ones, and those that the operator allows.

Whoever names a webhook has our machine send requests: to the machine itself, its neighbours, or a
cloud's metadata service (169.254.169.254), unless these are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1: the last 32 bits are an IPv4 address
_NOT_PUBLIC = (
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, which is no more (RFC 7526)
    IPv6Network("2001::/23"),  # protocols' own (RFC 2928), Teredo among them
    IPv6Network("2001:db8::/32"),  # documentation (RFC 3849)
    IPv6Network("3fff::/20"),  # the same (RFC 9637)
    IPv6Network("fec0::/10"),  # site-local (RFC 3879)
)
"""What ``ipaddress`` calls global in one version of Python or another."""


@dataclass(frozen=True, slots=True)
class Networks:
    """The operator's exceptions (``ENCLAVE_WEBHOOK_NETWORKS``)."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def read(cls, text: str) -> Networks:
        """Read networks in CIDR form, comma between. Raises ``ValueError`` with a sentence."""
        words = [word.strip() for word in text.split(",") if word.strip()]
        try:
            return cls(tuple(ip_network(word) for word in words))
        except ValueError as error:
            raise ValueError(f"{error}: write networks as 10.20.0.0/16, comma between") from error

    @staticmethod
    def are_of(host: str) -> bool:
        """Whether a host is an address, not a name."""
        try:
            ip_address(host)
        except ValueError:
            return False
        return True

    def allow(self, text: str) -> bool:
        """Whether webhooks may reach an address, which may have a zone (``fe80::1%eth0``)."""
        address = ip_address(text.partition("%")[0])
        return self.excepts(text) or is_public(_embedded(address) or address)

    def excepts(self, text: str) -> bool:
        """Whether the operator has allowed the address, public or not."""
        address = ip_address(text.partition("%")[0])
        meant = _embedded(address) or address
        return any(each in network for each in (address, meant) for network in self.allowed)


def is_public(address: Address) -> bool:
    """Whether an address is one of the whole internet's, for one machine."""
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _NOT_PUBLIC)
    )


def _embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it is a way to one."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
