"""The ``aptible`` command: its words and options. What they do is in the modules beside this one.

The one that is slow to import is imported when a command runs: help and mistakes answer at once.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from toolbelt.addresses import api_root, auth_root
from toolbelt.deploying import Wish, check_wish, read_variables, start_deploy
from toolbelt.errors import Refused, ToolbeltError
from toolbelt.following import follow
from toolbelt.hal import Body, link
from toolbelt.listing import list_apps, list_created_app, list_services, list_variables
from toolbelt.screen import TerminalOrFile
from toolbelt.selection import Selection, find_app, find_environment, only_environment
from toolbelt.tokens import read_lifetime, read_token, save_token

if TYPE_CHECKING:
    from toolbelt.server import Server

_DEBUG_VARIABLE = "APTIBLE_DEBUG"
_INTERRUPTED = 130

Command = TypeVar("Command", bound=Callable[..., Any])


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
        _warn(str(error))
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        _warn(error.format_message())
        return error.exit_code
    except BrokenPipeError:  # `aptible deploy | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get(_DEBUG_VARIABLE):
            raise
        _warn(f"Something unexpected happened ({type(error).__name__}: {error})")
        _warn(f"Set {_DEBUG_VARIABLE}=1 to see where.")
        return 1
    return code if isinstance(code, int) else 0


_timestamps_option = click.option(
    "--timestamps", is_flag=True, help="Begin each line with the time it was written."
)

_environment_option = click.option(
    "--environment", "--env", "environment", help="The environment's handle."
)


def _app_options(command: Command) -> Command:
    """Add the options that name an app; the command is called with what they select."""

    @functools.wraps(command)
    def with_selection(
        *, app: str | None, environment: str | None, remote: str | None, **options: object
    ) -> object:
        return command(Selection(app, environment, remote), **options)

    described: Any = with_selection
    for option in (
        click.option("-r", "--remote", help="The git remote that names the app."),
        _environment_option,
        click.option("--app", help="The app's handle."),
    ):
        described = option(described)
    decorated: Command = described
    return decorated


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="COMMAND [OPTIONS]",
)
def aptible() -> None:
    """Deploy apps to your Enclave server.

    Its address is taken from APTIBLE_API_ROOT_URL (and APTIBLE_AUTH_ROOT_URL).
    """


@aptible.command("login")
@click.option("--email", help="Asked for if not given.")
@click.option("--password", help="Asked for if not given, which keeps it off the process list.")
@click.option("--lifetime", default="1w", show_default=True, help="Such as 12h, 7d or 1w.")
def login(email: str | None, password: str | None, lifetime: str) -> None:
    """Log in, and keep the token for the commands to come."""
    seconds = read_lifetime(lifetime)
    email = email or click.prompt("Email", err=True)
    password = password or click.prompt("Password", hide_input=True, err=True)
    form = {
        "grant_type": "password",
        "username": email,
        "password": password,
        "scope": "manage",
        "expires_in": str(seconds),
    }
    with _connect(auth_root()) as server:
        try:
            token = server.post_form("/tokens", form)
        except Refused as error:
            if error.status != 401:
                raise
            raise ToolbeltError(
                f"Could not authenticate with given credentials: {error}"
            ) from error
    path = save_token(auth_root(), str(token["access_token"]))
    click.echo(f"Token written to {path}")


@aptible.command("apps")
@_environment_option
def apps(environment: str | None) -> None:
    """List the apps of an environment, or of all."""
    with _server() as server:
        accounts = (
            [find_environment(server, environment)]
            if environment
            else list(server.pages("/accounts", "accounts"))
        )
        listed = [
            (account, list(server.pages(link(account, "apps"), "apps"))) for account in accounts
        ]
    _echo(list_apps(listed))


@aptible.command("apps:create")
@click.argument("handle")
@_environment_option
def create_app(handle: str, environment: str | None) -> None:
    """Create an app."""
    with _server() as server:
        account = find_environment(server, environment) if environment else only_environment(server)
        collection = server.get(link(account, "apps"), per_page=1)
        app = server.post(link(collection, "self"), {"handle": handle})
    _warn(f"App {handle} created!")
    _echo(list_created_app(app))


@aptible.command("deploy", context_settings={"ignore_unknown_options": True})
@_app_options
@click.option("--docker-image", help='The image to deploy; "" removes the stored one.')
@click.option("--private-registry-username", help='"" (both) forgets the stored credentials.')
@click.option("--private-registry-password", help="- reads it from the terminal or from a pipe.")
@click.option("--private-registry-email", help="Not needed by any registry; ignored.")
@click.option("--git-commitish", help="A branch, tag or commit that was pushed before.")
@click.option("--git-detach/--no-git-detach", help="Ignore the app's git repository from now on.")
@click.option("--container-count", type=int, help="For new services only.")
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
    variables: tuple[str, ...],
) -> int:
    """Deploy an image, or a commit that was pushed, and follow the log to its end.

    VAR=VALUE sets a variable in the same deploy, VAR= unsets it. The exit status is 0 if the deploy
    succeeded.
    """
    wish = Wish(
        docker_image=docker_image,
        username=private_registry_username,
        password=_password(private_registry_password),
        git_commitish=git_commitish,
        git_detach=git_detach,
        container_count=container_count,
        variables=read_variables(variables),
    )
    check_wish(wish)
    with _server() as server:
        found = find_app(server, selection)
        operation = start_deploy(server, found, wish)
        _warn(f"Deploying app... (operation #{operation['id']})")
        return _follow(server, operation)


@aptible.command("services")
@_app_options
def services(selection: Selection) -> None:
    """List the services of an app."""
    with _server() as server:
        found = find_app(server, selection)
    _echo(list_services(found))


@aptible.command("config")
@_app_options
def config(selection: Selection) -> None:
    """Print the configuration of an app, quoted for a shell."""
    with _server() as server:
        found = find_app(server, selection)
        configured = "current_configuration" in found["_links"]
        env = server.get(link(found, "current_configuration"))["env"] if configured else {}
    _echo(list_variables(env))


@aptible.command("operation:cancel")
@click.argument("operation_id", type=int)
def cancel_operation(operation_id: int) -> None:
    """Cancel an operation that waits or runs."""
    with _server() as server:
        operation = _find_operation(server, operation_id)
        _warn(f"Requesting cancellation on operation #{operation_id} ({operation['type']})...")
        operation = server.put(link(operation, "self"), {"cancelled": True})
    running = operation["status"] == "running"
    _warn("It stops at its next safe point." if running else "It is cancelled.")


@aptible.command("operation:logs")
@click.argument("operation_id", type=int)
@_timestamps_option
def show_logs(operation_id: int, *, timestamps: bool) -> None:
    """Print the log of an operation so far."""
    with _server() as server:
        operation = _find_operation(server, operation_id)
        address = server.get_text(link(operation, "logs")).strip()
        if timestamps:
            address += "&timestamps=true"
        click.echo(server.get_text(address), nl=False)


@aptible.command("operation:follow")
@click.argument("operation_id", type=int)
@_timestamps_option
def follow_operation(operation_id: int, *, timestamps: bool) -> int:
    """Follow an operation to its end; the exit status is 0 if it succeeded."""
    with _server() as server:
        operation = _find_operation(server, operation_id)
        return _follow(server, operation, timestamps=timestamps)


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


def _server() -> Server:
    """Return the server that the environment names, with the user's token for it."""
    return _connect(api_root(), read_token(auth_root()))


def _connect(root: str, token: str | None = None) -> Server:
    from toolbelt.server import Server  # noqa: PLC0415

    return Server(root, token)


def _find_operation(server: Server, operation_id: int) -> Body:
    try:
        return server.get(f"/operations/{operation_id}")
    except Refused as error:
        if error.status != 404:
            raise
        raise ToolbeltError(f"Operation #{operation_id} not found") from error


def _follow(server: Server, operation: Body, *, timestamps: bool = False) -> int:
    if follow(server, operation, TerminalOrFile(timestamps=timestamps)):
        return 0
    _warn(f"Operation #{operation['id']} failed.")
    return 1


def _password(given: str | None) -> str | None:
    """Return the password, read from the terminal or a pipe when ``-`` was given for it."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(click.prompt("Registry password", hide_input=True, err=True))
    line = _first_line(sys.stdin)
    if not line:
        raise ToolbeltError("No registry password came from the standard input")
    return line


def _first_line(stream: TextIO) -> str:
    return stream.readline().rstrip("\r\n")


def _echo(text: str) -> None:
    if text:
        click.echo(text)


def _warn(text: str) -> None:
    click.echo(text, err=True)
