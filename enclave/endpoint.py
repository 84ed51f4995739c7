"""An endpoint: the name under which the containers of one service answer HTTP from outside."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from enclave.errors import InvalidEndpoint, InvalidRoute
from enclave.route import default_host, require_host, require_network

_MAX_WHITELIST = 50
_PORTS = range(1, 65536)


class EndpointStatus(StrEnum):
    """The toolbelt's words for an endpoint's life (API.md, ``/vhosts/N``)."""

    PENDING = "pending"
    PROVISIONED = "provisioned"
    DEPROVISIONED = "deprovisioned"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of a service, provisioned or not yet.

    ``default``: it answers to ``app-ID.<domain of the installation>``; else ``domain`` is its own.
    ``port`` None: the image's lowest exposed one. ``ip_whitelist``: the networks (CIDR) that may
    ask; empty for all. ``certificate_id`` None: the installation's own certificate.
    """

    id: int
    app_id: int
    process_type: str
    created_at: str
    default: bool = False
    domain: str | None = None
    port: int | None = None
    ip_whitelist: tuple[str, ...] = ()
    certificate_id: int | None = None

    def host(self, installation_domain: str) -> str:
        """Return the host name, in lower case."""
        if self.default or self.domain is None:
            return default_host(self.app_id, installation_domain)
        return self.domain


def check_endpoint(
    *, default: bool, domain: str | None, port: int | None, ip_whitelist: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """Return domain and whitelist in their canonical form.

    Raises ``InvalidEndpoint``, or ``InvalidRoute`` for a name or network that is none.
    """
    if default and domain:
        raise InvalidEndpoint("Give either --default-domain or a domain of your own, not both.")
    if not default and not domain:
        raise InvalidEndpoint(
            "An endpoint needs a name: --default-domain, or --domain with one of your own."
        )
    canonical = None
    if domain:
        canonical = domain.lower().removesuffix(".")
        require_host(canonical)
        if "." not in canonical:
            raise InvalidEndpoint(f"{domain!r} is not a domain name such as www.example.com.")
    if port is not None and port not in _PORTS:
        raise InvalidEndpoint(f"A port is a number from 1 to 65535, not {port}.")
    if len(ip_whitelist) > _MAX_WHITELIST:
        raise InvalidEndpoint(f"At most {_MAX_WHITELIST} networks may be on an IP whitelist.")
    return canonical, tuple(_network(text) for text in ip_whitelist)


def _network(text: str) -> str:
    try:
        require_network(text)
    except InvalidRoute as error:
        raise InvalidEndpoint(f"On the IP whitelist, {error}.") from error
    return str(ipaddress.ip_network(text, strict=False))


def default_port(exposed: tuple[int, ...]) -> int | None:
    """Return the lexicographically lowest exposed port (``3000`` before ``80``), None of none."""
    return int(min(map(str, exposed))) if exposed else None
