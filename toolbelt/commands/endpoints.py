"""Endpoints: the names under which a service answers; listed, created, deprovisioned."""

from __future__ import annotations

import click

from toolbelt.commands.options import Command, app_options
from toolbelt.endpoints import (
    EndpointWish,
    change_endpoint,
    check_endpoint,
    create_endpoint,
    find_endpoint,
)
from toolbelt.errors import ToolbeltError
from toolbelt.hal import link
from toolbelt.listing import list_created_endpoint, list_endpoints
from toolbelt.operations import run_operation
from toolbelt.screen import echo, warn
from toolbelt.selection import Selection, find_app, find_service
from toolbelt.session import open_session


def _settings(command: Command) -> Command:
    """Add the options of what an endpoint has, however it is named."""
    for option in (
        click.option(
            "--ip-whitelist",
            multiple=True,
            metavar="CIDR...",
            help="The only addresses or networks that may ask.",
        ),
        click.option(
            "--port", type=int, help="The container's port; else the image's lowest exposed one."
        ),
        click.option("--certificate-fingerprint", help="Use a certificate that was given before."),
        click.option("--private-key-file", help="The private key of the certificate (PEM)."),
        click.option("--certificate-file", help="The domain's certificate with its chain (PEM)."),
    ):
        command = option(command)
    return command


@click.command()
@app_options
def endpoints(selection: Selection) -> None:
    """List the endpoints of an app."""
    with open_session() as server:
        app = find_app(server, selection)
        listed = list(server.pages(link(app, "vhosts"), "vhosts"))
    echo(list_endpoints(app, listed))


@click.command()
@app_options
@click.argument("service")
@click.argument("more_networks", nargs=-1, metavar="")
@click.option("--default-domain", is_flag=True, help="Answer under the server's own domain.")
@click.option("--domain", help="Answer under a domain of your own.")
@_settings
def create(
    selection: Selection,
    *,
    service: str,
    more_networks: tuple[str, ...],
    default_domain: bool,
    domain: str | None,
    certificate_file: str | None,
    private_key_file: str | None,
    certificate_fingerprint: str | None,
    port: int | None,
    ip_whitelist: tuple[str, ...],
) -> int:
    """Have a service answer HTTP under a name, and follow that to its end.

    --ip-whitelist takes several networks, behind one another, if SERVICE stands before it.
    """
    wish = EndpointWish(
        default_domain=default_domain,
        domain=domain,
        certificate_file=certificate_file,
        private_key_file=private_key_file,
        certificate_fingerprint=certificate_fingerprint,
        port=port,
        ip_whitelist=_networks(ip_whitelist, more_networks),
    )
    check_endpoint(wish)
    with open_session() as server:
        found = find_service(server, selection, service)
        endpoint = create_endpoint(server, found, wish)
        host = endpoint["external_host"]
        status = run_operation(server, endpoint, {"type": "provision"}, f"Provisioning {host}")
        if status != 0:
            warn(f"To give its name free: aptible endpoints:deprovision {host}")
            return status
        app = server.get(link(found, "app"))
        echo(list_created_endpoint(app, server.get(link(endpoint, "self"))))
        return 0


@click.command()
@app_options
@click.argument("name", metavar="HOSTNAME")
@click.argument("more_networks", nargs=-1, metavar="")
@_settings
@click.option("--no-ip-whitelist", is_flag=True, help="Everybody may ask.")
def modify(
    selection: Selection,
    *,
    name: str,
    more_networks: tuple[str, ...],
    certificate_file: str | None,
    private_key_file: str | None,
    certificate_fingerprint: str | None,
    port: int | None,
    ip_whitelist: tuple[str, ...],
    no_ip_whitelist: bool,
) -> int:
    """Change an endpoint, such as its certificate, and follow that to its end.

    It serves meanwhile; what is not named stays. --ip-whitelist as in endpoints:https:create.
    """
    wish = EndpointWish(
        certificate_file=certificate_file,
        private_key_file=private_key_file,
        certificate_fingerprint=certificate_fingerprint,
        port=port,
        ip_whitelist=_networks(ip_whitelist, more_networks),
        no_ip_whitelist=no_ip_whitelist,
    )
    check_endpoint(wish)
    with open_session() as server:
        endpoint = find_endpoint(server, find_app(server, selection), name)
        changed = change_endpoint(server, endpoint, wish)
        doing = f"Modifying {endpoint['external_host']}"
        return run_operation(server, changed, {"type": "provision"}, doing)


def _networks(whitelist: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Return all networks; raises ``ToolbeltError`` for words that follow no --ip-whitelist."""
    if more and not whitelist:
        raise ToolbeltError(f"Invalid argument: {more[0]}")
    return whitelist + more


@click.command()
@app_options
@click.argument("name", metavar="HOSTNAME")
def deprovision(selection: Selection, *, name: str) -> int:
    """Remove an endpoint: its host name (or id) leads nowhere from then on."""
    with open_session() as server:
        endpoint = find_endpoint(server, find_app(server, selection), name)
        doing = f"Deprovisioning {endpoint['external_host']}"
        return run_operation(server, endpoint, {"type": "deprovision"}, doing)


COMMANDS = {
    "endpoints:list": endpoints,
    "endpoints:https:create": create,
    "endpoints:https:modify": modify,
    "endpoints:deprovision": deprovision,
}
