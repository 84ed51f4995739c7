"""What puts a release live: deploy, rebuild, restart, rollback; and the releases there were."""

from __future__ import annotations

import sys

import click

from toolbelt.commands.options import app_options, container_size_option
from toolbelt.deploying import (
    Wish,
    check_wish,
    read_variables,
    request_of,
    require_something_to_deploy,
)
from toolbelt.errors import ToolbeltError
from toolbelt.hal import link
from toolbelt.listing import list_releases
from toolbelt.operations import run_operation
from toolbelt.screen import echo
from toolbelt.selection import Selection, find_app
from toolbelt.session import open_session


@click.command(context_settings={"ignore_unknown_options": True})
@app_options
@click.option("--docker-image", help='The image to deploy; "" removes the stored one.')
@click.option("--private-registry-username", help='"" (both) forgets the stored credentials.')
@click.option("--private-registry-password", help="- reads it from the terminal or from a pipe.")
@click.option("--private-registry-email", help="Not needed by any registry; ignored.")
@click.option("--git-commitish", help="A branch, tag or commit that was pushed before.")
@click.option("--git-detach/--no-git-detach", help="Ignore the app's git repository from now on.")
@click.option("--container-count", type=int, help="For new services only.")
@container_size_option
@click.argument("variables", nargs=-1, metavar="[VAR=VALUE]...")
def deploy(
    selection: Selection,
    *,
    docker_image: str | None,
    private_registry_username: str | None,
    private_registry_password: str | None,
    private_registry_email: str | None,  # noqa: ARG001
    git_commitish: str | None,
    git_detach: bool,
    container_count: int | None,
    container_size: int | None,
    variables: tuple[str, ...],
) -> int:
    """Deploy an image, or a commit that was pushed, and follow the log to its end.

    VAR=VALUE sets a variable in the same deploy, VAR= unsets it. Count and size of containers are
    for services that are new. The exit status is 0 if the deploy succeeded.
    """
    wish = Wish(
        docker_image=docker_image,
        username=private_registry_username,
        password=_password(private_registry_password),
        git_commitish=git_commitish,
        git_detach=git_detach,
        container_count=container_count,
        container_size=container_size,
        variables=read_variables(variables),
    )
    check_wish(wish)
    with open_session() as server:
        app = find_app(server, selection)
        body = request_of(wish)
        require_something_to_deploy(app, body)
        return run_operation(server, app, body, "Deploying app")


@click.command()
@app_options
def rebuild(selection: Selection) -> int:
    """Resolve and pull the app's image again, and restart its services with it."""
    with open_session() as server:
        app = find_app(server, selection)
        return run_operation(server, app, {"type": "rebuild"}, "Rebuilding app")


@click.command()
@app_options
def restart(selection: Selection) -> int:
    """Restart all services of an app, without pulling its image."""
    with open_session() as server:
        app = find_app(server, selection)
        return run_operation(server, app, {"type": "restart"}, "Restarting app")


@click.command()
@app_options
@click.argument("release", type=int)
def rollback(selection: Selection, *, release: int) -> int:
    """Put an earlier release live again: its image, commit and configuration.

    RELEASE is its number, as aptible releases lists it.
    """
    with open_session() as server:
        app = find_app(server, selection)
        body = {"type": "rollback", "release": release}
        return run_operation(server, app, body, f"Rolling back to release {release}")


@click.command()
@app_options
def releases(selection: Selection) -> None:
    """List the releases of an app, newest first.

    One that has expired cannot be rolled back to: its image is not kept any more.
    """
    with open_session() as server:
        app = find_app(server, selection)
        listed = list(server.pages(link(app, "releases"), "releases"))
    echo(list_releases(listed))


def _password(given: str | None) -> str | None:
    """Return the password, read from the terminal or a pipe when ``-`` was given for it."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(click.prompt("Registry password", hide_input=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise ToolbeltError("No registry password came from the standard input")
    return line


COMMANDS = {
    "deploy": deploy,
    "rebuild": rebuild,
    "restart": restart,
    "rollback": rollback,
    "releases": releases,
}
