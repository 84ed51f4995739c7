"""Which app a command is about: the one its options name, or that of the git remote."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolbelt.errors import Refused, ToolbeltError
from toolbelt.hal import Body
from toolbelt.remotes import app_of_remote

if TYPE_CHECKING:
    from toolbelt.server import Server

_REMOTE_VARIABLE = "APTIBLE_REMOTE"
_DEFAULT_REMOTE = "aptible"
_BY_OPTIONS = "(options provided via CLI arguments)"


@dataclass(frozen=True, slots=True)
class Selection:
    """What was given of ``--app``, ``--environment`` and ``--remote``."""

    app: str | None
    environment: str | None
    remote: str | None


def find_app(server: Server, selection: Selection) -> Body:
    """Return the app that is meant. Raises ``ToolbeltError`` when there is none, or not one."""
    app, environment, explanation = selection.app, selection.environment, _BY_OPTIONS
    if app is None:
        remote = selection.remote or os.environ.get(_REMOTE_VARIABLE) or _DEFAULT_REMOTE
        derived = app_of_remote(remote)
        if derived is None:
            raise ToolbeltError(
                "Could not find app in current working directory, please specify with --app"
            )
        environment, app = environment or derived[0], derived[1]
        explanation = f"(options derived from git remote {remote})"
    try:
        return server.get("/find/app", handle=app, environment=environment)
    except Refused as error:
        if error.error == "multiple_resources_found":
            raise ToolbeltError(
                f"Multiple apps named {app} exist, please specify with --environment"
            ) from error
        if error.status != 404:
            raise
    if environment is None:
        raise ToolbeltError(f"Could not find app {app} in any environment {explanation}")
    find_environment(server, environment, explanation)
    raise ToolbeltError(f"Could not find app {app} in environment {environment} {explanation}")


def find_service(server: Server, selection: Selection, process_type: str) -> Body:
    """Return a live service of the app that is meant; raises ``ToolbeltError``."""
    app = find_app(server, selection)
    services = app["_embedded"]["services"]
    for service in services:
        if service["process_type"] == process_type:
            found: Body = service
            return found
    types = ", ".join(service["process_type"] for service in services)
    raise ToolbeltError(
        f"Service with type {process_type} does not exist for app {app['handle']}. "
        f"Valid types: {types or 'NONE (deploy the app first)'}."
    )


def find_environment(server: Server, handle: str, explanation: str = _BY_OPTIONS) -> Body:
    """Return the environment of that handle; raises ``ToolbeltError`` when there is none."""
    try:
        return server.get("/find/account", handle=handle)
    except Refused as error:
        if error.status != 404:
            raise
        raise ToolbeltError(f"Could not find environment {handle} {explanation}") from error


def only_environment(server: Server) -> Body:
    """Return the one environment there is; raises ``ToolbeltError`` when one has to be named."""
    environments = list(server.pages("/accounts", "accounts"))
    if not environments:
        raise ToolbeltError("You are a member of no environment: ask an administrator for one")
    if len(environments) > 1:
        raise ToolbeltError("Multiple environments available, please specify with --environment")
    return environments[0]
