"""Webhooks of an app: created, listed, removed."""

from __future__ import annotations

import click

from toolbelt.commands.options import app_options
from toolbelt.errors import ToolbeltError
from toolbelt.hal import create_in, link
from toolbelt.listing import list_created_webhook, list_webhooks
from toolbelt.screen import echo, warn
from toolbelt.selection import Selection, find_app
from toolbelt.session import open_session


@click.command()
@app_options
@click.argument("url")
@click.option("--secret", help="What messages are signed with; one is made unless given.")
def create(selection: Selection, *, url: str, secret: str | None) -> None:
    """Have URL told of the end of each operation on an app; prints the secret, this once."""
    body = {"url": url} if secret is None else {"url": url, "secret": secret}
    with open_session() as server:
        created = create_in(server, find_app(server, selection), "webhooks", body)
    echo(list_created_webhook(created))
    warn("The secret is shown this once: the receiver verifies with it what it is sent.")


@click.command()
@app_options
def webhooks(selection: Selection) -> None:
    """List the webhooks of an app, and how their last deliveries went."""
    with open_session() as server:
        found = find_app(server, selection)
        listed = list(server.pages(link(found, "webhooks"), "webhooks"))
    echo(list_webhooks(listed))


@click.command()
@app_options
@click.argument("webhook_id", type=int)
def remove(selection: Selection, *, webhook_id: int) -> None:
    """Remove a webhook, by its number, and what it was to be told."""
    with open_session() as server:
        found = find_app(server, selection)
        for webhook in server.pages(link(found, "webhooks"), "webhooks"):
            if webhook["id"] == webhook_id:
                server.delete(link(webhook, "self"))
                warn(f"Removed webhook {webhook_id}.")
                return
    raise ToolbeltError(f"App {found['handle']} has no webhook {webhook_id}")


COMMANDS = {
    "webhooks:create": create,
    "webhooks:list": webhooks,
    "webhooks:rm": remove,
}
