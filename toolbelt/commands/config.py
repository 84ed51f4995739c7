"""The configuration of an app: shown, set, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolbelt.commands.options import app_options
from toolbelt.deploying import read_names, read_variables
from toolbelt.hal import link
from toolbelt.listing import list_variable, list_variables
from toolbelt.operations import run_operation
from toolbelt.screen import echo
from toolbelt.selection import Selection, find_app
from toolbelt.session import open_session

if TYPE_CHECKING:
    from toolbelt.server import Server


@click.command()
@app_options
def config(selection: Selection) -> None:
    """Print the configuration of an app, quoted for a shell."""
    with open_session() as server:
        env = _variables(server, selection)
    echo(list_variables(env))


@click.command()
@app_options
@click.argument("name", metavar="VAR")
def get_variable(selection: Selection, *, name: str) -> None:
    """Print the value of one variable, as it is."""
    with open_session() as server:
        env = _variables(server, selection)
    click.echo(list_variable(name, env))


@click.command(context_settings={"ignore_unknown_options": True})
@app_options
@click.argument("variables", nargs=-1, required=True, metavar="VAR=VALUE...")
def set_variables(selection: Selection, *, variables: tuple[str, ...]) -> int:
    """Set variables of an app, and restart it; VAR= unsets one."""
    return _configure(selection, read_variables(variables))


@click.command(context_settings={"ignore_unknown_options": True})
@app_options
@click.argument("names", nargs=-1, required=True, metavar="VAR...")
def remove_variables(selection: Selection, *, names: tuple[str, ...]) -> int:
    """Remove variables of an app, and restart it."""
    return _configure(selection, dict.fromkeys(read_names(names), ""))


def _configure(selection: Selection, env: dict[str, str]) -> int:
    with open_session() as server:
        app = find_app(server, selection)
        body = {"type": "configure", "env": env}
        return run_operation(server, app, body, "Updating configuration and restarting app")


def _variables(server: Server, selection: Selection) -> dict[str, str]:
    app = find_app(server, selection)
    if "current_configuration" not in app["_links"]:
        return {}
    env: dict[str, str] = server.get(link(app, "current_configuration"))["env"]
    return env


COMMANDS = {
    "config": config,
    "config:get": get_variable,
    "config:set": set_variables,
    "config:add": set_variables,
    "config:rm": remove_variables,
    "config:unset": remove_variables,
}
