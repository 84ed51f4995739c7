"""``enclave certificate``: the installation's own certificates, as certbot renews them."""

from __future__ import annotations

from typing import TextIO

import click

from admin.running import running_store

_APPLIED_SECONDS = 60.0


@click.group()
def certificate() -> None:
    """Manage the installation's own certificates: they serve each host that has no other."""


@certificate.command("add")
@click.argument("chain", type=click.File())
@click.argument("key", type=click.File())
def add_certificate(chain: TextIO, key: TextIO) -> None:
    """Serve the certificate in CHAIN with its KEY (PEM), in place of those for the same names.

    Ends when new connections get it, no connection is cut; if it fails, the older are served.
    """
    store = running_store()
    given, revision = store.own_certificates.give(chain.read(), key.read())
    store.own_certificates.settle(given, revision, seconds=_APPLIED_SECONDS)
    names = ", ".join(given.names)
    click.echo(f"Certificate {given.id} serves {names} until {given.not_after}.")


@certificate.command("list")
def list_certificates() -> None:
    """List them, newest first."""
    for each in running_store().own_certificates.all():
        click.echo(f"{each.id}\t{each.not_after}\t{each.issuer}\t{', '.join(each.names)}")


@certificate.command("remove")
@click.argument("number", type=int)
def remove_certificate(number: int) -> None:
    """Serve certificate NUMBER (see list) no more."""
    store = running_store()
    store.routes.wait_applied(store.own_certificates.remove(number), _APPLIED_SECONDS)
    click.echo("Removed.")
