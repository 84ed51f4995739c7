"""Endpoints: what was typed becomes a vhost of the API; one is found by its host name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolbelt.errors import ToolbeltError, Unreachable
from toolbelt.hal import Body, create_in, link

if TYPE_CHECKING:
    from toolbelt.server import Server


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """The options of ``endpoints:https:create`` and ``modify``; None where one was not given."""

    default_domain: bool = False
    domain: str | None = None
    certificate_file: str | None = None
    private_key_file: str | None = None
    certificate_fingerprint: str | None = None
    port: int | None = None
    ip_whitelist: tuple[str, ...] = ()
    no_ip_whitelist: bool = False


def check_endpoint(wish: EndpointWish) -> None:
    """Refuse options that exclude each other, or half a pair; raises ``ToolbeltError``."""
    files = {
        "--certificate-file": wish.certificate_file,
        "--private-key-file": wish.private_key_file,
    }
    given_files = [flag for flag, value in files.items() if value]
    other = {
        "--certificate-fingerprint": wish.certificate_fingerprint,
        "--default-domain": wish.default_domain,
    }
    given = [flag for flag, value in other.items() if value]
    if bool(given_files) + len(given) > 1:
        raise _conflict(given_files + given)
    if wish.domain and wish.default_domain:
        raise _conflict(["--domain", "--default-domain"])
    if wish.ip_whitelist and wish.no_ip_whitelist:
        raise _conflict(["--ip-whitelist", "--no-ip-whitelist"])
    for flag, value in files.items():
        if given_files and not value:
            raise ToolbeltError(f"Missing {flag}")


def _conflict(flags: list[str]) -> ToolbeltError:
    return ToolbeltError(f"Conflicting options provided: {', '.join(flags)}")


def read_certificate_files(wish: EndpointWish) -> Body | None:
    """Return certificate and key as the API takes them, None if none are given.

    Raises ``ToolbeltError`` when a file cannot be read as text.
    """
    if wish.certificate_file is None or wish.private_key_file is None:
        return None
    try:
        return {
            "certificate_body": Path(wish.certificate_file).read_text("utf-8"),
            "private_key": Path(wish.private_key_file).read_text("utf-8"),
        }
    except (OSError, ValueError) as error:
        raise ToolbeltError(f"Failed to read certificate or private key file: {error}") from error


def create_endpoint(server: Server, service: Body, wish: EndpointWish) -> Body:
    """Create an endpoint of the service, pending; raises ``ToolbeltError``."""
    certificate = _wished_certificate(server, service, wish)
    body: Body = {
        "type": "http",
        "platform": "alb",
        "default": wish.default_domain,
        "internal": False,
        "acme": False,
        "ip_whitelist": list(wish.ip_whitelist),
        "container_port": wish.port,
        "user_domain": wish.domain,
        "certificate": certificate and link(certificate, "self"),
    }
    body = {name: value for name, value in body.items() if value is not None}
    try:
        return create_in(server, service, "vhosts", body)
    except Unreachable as error:
        raise Unreachable(
            f"{error}\nThe endpoint may be there all the same: see aptible endpoints:list"
        ) from error


def change_endpoint(server: Server, endpoint: Body, wish: EndpointWish) -> Body:
    """Say what the endpoint shall be, once it is provisioned again; raises ``ToolbeltError``."""
    service = server.get(link(endpoint, "service"))
    certificate = _wished_certificate(server, service, wish)
    body: Body = {
        "container_port": wish.port,
        "ip_whitelist": [] if wish.no_ip_whitelist else list(wish.ip_whitelist) or None,
        "certificate": certificate and link(certificate, "self"),
    }
    given = {name: value for name, value in body.items() if value is not None}
    if not given:
        raise ToolbeltError("Nothing is to be changed: give at least one option.")
    return server.put(link(endpoint, "self"), given)


def find_endpoint(server: Server, app: Body, name: str) -> Body:
    """Return the app's endpoint of that host name or id; raises ``ToolbeltError``."""
    endpoints = list(server.pages(link(app, "vhosts"), "vhosts"))
    for endpoint in endpoints:
        if name in (endpoint["external_host"], str(endpoint["id"])):
            return endpoint
    hosts = ", ".join(endpoint["external_host"] for endpoint in endpoints)
    valid = f" (valid hostnames: {hosts})" if hosts else ""
    raise ToolbeltError(f"Endpoint with hostname {name} does not exist{valid}")


def _wished_certificate(server: Server, service: Body, wish: EndpointWish) -> Body | None:
    """Return the certificate that the options name, given to the environment if it is new."""
    files = read_certificate_files(wish)
    if files is not None:
        account = server.get(link(service, "account"))
        return create_in(server, account, "certificates", files)
    if wish.certificate_fingerprint:
        return _certificate(server, service, wish.certificate_fingerprint)
    return None


def _certificate(server: Server, service: Body, fingerprint: str) -> Body:
    """Return the environment's one certificate whose SHA-256 fingerprint begins so."""
    account = server.get(link(service, "account"))
    certificates = server.pages(link(account, "certificates"), "certificates")
    matching = {
        each["sha256_fingerprint"]: each
        for each in certificates
        if each["sha256_fingerprint"].startswith(fingerprint)
    }
    if not matching:
        raise ToolbeltError(f"No certificate matches fingerprint {fingerprint}")
    if len(matching) > 1:
        raise ToolbeltError(
            f"Too many certificates match fingerprint {fingerprint}, pass a more specific one"
        )
    return next(iter(matching.values()))
