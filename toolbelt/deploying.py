"""``aptible deploy``: what was typed becomes one operation (SPEC 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolbelt.errors import ToolbeltError, Unreachable
from toolbelt.hal import Body, link

if TYPE_CHECKING:
    from toolbelt.server import Server

_IMAGE = "APTIBLE_DOCKER_IMAGE"
_USERNAME = "APTIBLE_PRIVATE_REGISTRY_USERNAME"
_PASSWORD = "APTIBLE_PRIVATE_REGISTRY_PASSWORD"  # noqa: S105
_OPTIONS = {
    _IMAGE: "--docker-image",
    _USERNAME: "--private-registry-username",
    _PASSWORD: "--private-registry-password",
}
_DETACH = "0" * 40
_NOTHING = "You need to deploy either from git or a Docker image"
_UNFINISHED = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of ``aptible deploy``; None where one was not given."""

    docker_image: str | None
    username: str | None
    password: str | None = field(repr=False)
    git_commitish: str | None
    git_detach: bool
    container_count: int | None
    variables: dict[str, str] = field(repr=False)


def check_wish(wish: Wish) -> None:
    """Refuse what cannot be meant, before anyone is asked. Raises ``ToolbeltError``."""
    if wish.git_detach and wish.git_commitish:
        raise ToolbeltError("The options --git-commitish and --git-detach are incompatible")
    half = (wish.username is None) != (wish.password is None)
    if half or bool(wish.username) != bool(wish.password):
        raise ToolbeltError(
            "The options --private-registry-username and --private-registry-password go together"
        )
    if _OPTIONS.keys() & wish.variables.keys():
        raise ToolbeltError(
            f"The environment variables {', '.join(_OPTIONS)} are deprecated. "
            f"Use the options {', '.join(_OPTIONS.values())}, instead"
        )


def request_of(wish: Wish) -> Body:
    """Return the operation's body as the API takes it (API.md); what was not given is not in it."""
    settings = {} if wish.docker_image is None else {_IMAGE: wish.docker_image}
    given = {_USERNAME: wish.username, _PASSWORD: wish.password}
    sensitive = {name: value for name, value in given.items() if value is not None}
    body: Body = {
        "type": "deploy",
        "git_ref": _DETACH if wish.git_detach else wish.git_commitish or None,
        "env": wish.variables,
        "settings": settings,
        "sensitive_settings": sensitive,
    }
    body = {name: value for name, value in body.items() if value}
    if wish.container_count is not None:
        body["container_count"] = wish.container_count
    return body


def start_deploy(server: Server, app: Body, wish: Wish) -> Body:
    """Queue the deploy and return the operation. Raises ``ToolbeltError``."""
    body = request_of(wish)
    last = app["_embedded"]["last_operation"]
    may_deploy = (
        "git_ref" in body
        or bool(wish.docker_image)
        or app["status"] == "provisioned"
        or (last is not None and last["status"] in _UNFINISHED)  # what waits may bring an image
    )
    if not may_deploy:
        raise ToolbeltError(_NOTHING)
    operations = server.get(link(app, "operations"), per_page=1)
    try:
        return server.post(link(operations, "self"), body)
    except Unreachable as error:
        raise Unreachable(
            f"{error}\nThe deploy may be queued all the same: look before you try again"
        ) from error


def read_variables(arguments: Sequence[str]) -> dict[str, str]:
    """Return ``VAR=VALUE`` arguments as a mapping. Raises ``ToolbeltError`` for anything else."""
    variables: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name.startswith("-") or not name or not equals:  # a dash: a misspelled option
            raise ToolbeltError(f"Invalid argument: {name or argument}")
        variables[name] = value
    return variables
