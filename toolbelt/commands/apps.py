"""Apps: listed, created, renamed, scaled, deprovisioned."""

from __future__ import annotations

from itertools import islice

import click

from toolbelt.commands.options import app_options, container_size_option, environment_option
from toolbelt.deploying import sizes
from toolbelt.errors import ToolbeltError
from toolbelt.hal import create_in, link
from toolbelt.listing import list_activity, list_apps, list_created_app
from toolbelt.operations import run_operation
from toolbelt.screen import echo, warn
from toolbelt.selection import (
    Selection,
    find_app,
    find_environment,
    find_service,
    only_environment,
)
from toolbelt.session import open_session


@click.command()
@environment_option
def apps(environment: str | None) -> None:
    """List the apps of an environment, or of all."""
    with open_session() as server:
        accounts = (
            [find_environment(server, environment)]
            if environment
            else list(server.pages("/accounts", "accounts"))
        )
        listed = [
            (account, list(server.pages(link(account, "apps"), "apps"))) for account in accounts
        ]
    echo(list_apps(listed))


@click.command()
@click.argument("handle")
@environment_option
def create_app(handle: str, environment: str | None) -> None:
    """Create an app."""
    with open_session() as server:
        account = find_environment(server, environment) if environment else only_environment(server)
        app = create_in(server, account, "apps", {"handle": handle})
    warn(f"App {handle} created!")
    echo(list_created_app(app))


@click.command()
@app_options
@click.option("-n", "--newest", type=click.IntRange(1, 1000), default=50, show_default=True)
def activity(selection: Selection, *, newest: int) -> None:
    """List who changed what of an app, when and from where, newest first."""
    with open_session() as server:
        app = find_app(server, selection)
        changes = list(islice(server.pages(link(app, "activity"), "activity"), newest))
    echo(list_activity(changes))


@click.command()
@click.argument("old_handle")
@click.argument("new_handle")
@environment_option
def rename(old_handle: str, new_handle: str, environment: str | None) -> None:
    """Rename an app. Its git remote changes at once, its containers from their restart on."""
    with open_session() as server:
        found = find_app(server, Selection(old_handle, environment, remote=None))
        app = server.put(link(found, "self"), {"handle": new_handle})
    warn(f"App {old_handle} is {app['handle']} now.")
    warn("In your clones: git remote set-url aptible, followed by")
    echo(app["git_repo"])


@click.command()
@app_options
@click.argument("service")
@click.option("--container-count", type=int, help="How many containers the service has.")
@container_size_option
def scale(
    selection: Selection, *, service: str, container_count: int | None, container_size: int | None
) -> int:
    """Change how many containers a service has, or how large they are."""
    wanted = sizes(container_count, container_size)
    if not wanted:
        raise ToolbeltError("Provide at least --container-count or --container-size")
    with open_session() as server:
        found = find_service(server, selection, service)
        return run_operation(server, found, {"type": "scale", **wanted}, f"Scaling {service}")


@click.command()
@app_options
def deprovision(selection: Selection) -> int:
    """Stop the app for good, and remove its git repository, configuration and endpoints."""
    with open_session() as server:
        app = find_app(server, selection)
        doing = f"Deprovisioning {app['handle']}"
        return run_operation(server, app, {"type": "deprovision"}, doing)


COMMANDS = {
    "apps": apps,
    "apps:create": create_app,
    "apps:rename": rename,
    "apps:scale": scale,
    "apps:deprovision": deprovision,
    "activity": activity,
}
