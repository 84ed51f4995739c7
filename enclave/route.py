"""Routes: which hosts lead to which addresses. What the worker wants and the router makes true.

Every part is checked when the value is made, whoever makes it: routes become lines of HAProxy's
configuration, so nothing but the characters of a host name or an address may be in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from enclave.errors import InvalidRoute

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_CHARACTERS = 253
"""A host name of letters, digits and hyphens, in lower case: RFC 1123, 2.1."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where one container listens: an IPv4 address and a TCP port."""

    address: str
    port: int

    def __post_init__(self) -> None:
        try:
            IPv4Address(self.address)
        except ValueError as error:
            raise InvalidRoute(f"{self.address!r} is not an IPv4 address") from error
        if not 1 <= self.port <= 65535:
            raise InvalidRoute(f"{self.port} is not a port: 1 to 65535")


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint as it is wanted: requests for one of ``hosts`` go to one of ``targets``.

    ``ip_whitelist``: the only addresses and networks (CIDR) it answers; empty: all.
    ``certificate_id``: the given certificate for these hosts; None: the installation's own.
    """

    endpoint_id: int
    app_id: int
    hosts: tuple[str, ...]
    targets: tuple[Target, ...]
    ip_whitelist: tuple[str, ...] = ()
    certificate_id: int | None = None

    def __post_init__(self) -> None:
        for host in self.hosts:
            require_host(host)
        for network in self.ip_whitelist:
            require_network(network)
        for what in (self.hosts, self.targets, self.ip_whitelist):
            if len(set(what)) < len(what):
                raise InvalidRoute(f"endpoint {self.endpoint_id} names one thing twice: {what}")


def require_host(host: str) -> None:
    """Raise ``InvalidRoute`` unless ``host`` is a host name in lower case, without a port."""
    if len(host) > _HOST_CHARACTERS or not _HOST.fullmatch(host):
        raise InvalidRoute(
            f"{host!r} is not a host name: use letters, digits and hyphens between dots, "
            "in lower case, such as www.example.com"
        )


def require_network(network: str) -> None:
    """Raise ``InvalidRoute`` unless it is an address or a network (CIDR) of IPv4 or IPv6."""
    try:
        ip_network(network, strict=False)
    except ValueError as error:
        raise InvalidRoute(
            f"{network!r} is neither an IP address nor a network such as 10.0.0.0/8"
        ) from error
    if "%" in network:
        raise InvalidRoute(f"{network!r}: an address with a zone means nothing to others")


def default_host(app_id: int, domain: str) -> str:
    """Return the host name an app gets from the installation's domain (``--default-domain``)."""
    return f"app-{app_id}.{domain}"
