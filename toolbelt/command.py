"""The ``aptible`` command. Its words and options are in ``toolbelt/commands``, a module a noun.

What is slow to import is imported when a command runs: help and mistakes answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import metadata

import click

from toolbelt.commands import (
    apps,
    config,
    deploy,
    endpoints,
    login,
    logs,
    operations,
    services,
    ssh,
)
from toolbelt.errors import ToolbeltError
from toolbelt.screen import warn

_DEBUG_VARIABLE = "APTIBLE_DEBUG"
_INTERRUPTED = 130

_NOUNS = (login, apps, deploy, services, config, endpoints, operations, logs, ssh)


def main() -> None:
    """Run ``aptible`` and exit: 0 when it succeeded, 1 when not, 2 when it was mistyped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character is no failure
    sys.exit(_run())


def _run() -> int:
    try:
        code = aptible.main(prog_name="aptible", standalone_mode=False)
    except ToolbeltError as error:
        if os.environ.get(_DEBUG_VARIABLE):
            traceback.print_exc()
        if str(error):
            warn(str(error))
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        warn(error.format_message())
        return error.exit_code
    except BrokenPipeError:  # `aptible deploy | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get(_DEBUG_VARIABLE):
            raise
        warn(f"Something unexpected happened ({type(error).__name__}: {error})")
        warn(f"Set {_DEBUG_VARIABLE}=1 to see where.")
        return 1
    return code if isinstance(code, int) else 0


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="COMMAND [OPTIONS]",
)
def aptible() -> None:
    """Deploy apps to your Enclave server.

    Its address is taken from APTIBLE_API_ROOT_URL (and APTIBLE_AUTH_ROOT_URL).
    """


for _noun in _NOUNS:
    for _name, _command in _noun.COMMANDS.items():
        aptible.add_command(_command, _name)


@aptible.command("version")
def version() -> None:
    """Print the version of this command."""
    try:
        click.echo(f"aptible (Enclave) v{metadata.version('enclave')}")
    except metadata.PackageNotFoundError:
        click.echo("aptible (Enclave), run from its source")


@aptible.command("help")
@click.argument("command", required=False)
@click.pass_context
def show_help(context: click.Context, command: str | None) -> None:
    """Describe the commands, or one of them."""
    above = context.parent or context
    if command is None:
        click.echo(above.get_help())
        return
    described = aptible.get_command(above, command)
    if described is None:
        raise ToolbeltError(f"Could not find command {command}: see aptible help")
    click.echo(described.get_help(click.Context(described, info_name=command, parent=above)))
