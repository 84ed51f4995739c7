"""``aptible deploy``: what was typed becomes one operation (SPEC 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from toolbelt.errors import ToolbeltError
from toolbelt.hal import Body

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
    container_size: int | None
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
    return body | sizes(wish.container_count, wish.container_size)


def sizes(container_count: int | None, container_size: int | None) -> Body:
    """Return the part of a body that says how many containers, of how many MB; 0 is a count."""
    given = {"container_count": container_count, "container_size": container_size}
    return {name: value for name, value in given.items() if value is not None}


def require_something_to_deploy(app: Body, body: Body) -> None:
    """Refuse a deploy of nothing before it is asked for (SPEC 3.7); raises ``ToolbeltError``."""
    last = app["_embedded"]["last_operation"]
    may_deploy = (
        "git_ref" in body
        or bool(body.get("settings", {}).get(_IMAGE))
        or app["status"] == "provisioned"
        or app["deployment_method"] == "docker_image"  # an image is stored
        or (last is not None and last["status"] in _UNFINISHED)  # what waits may bring an image
    )
    if not may_deploy:
        raise ToolbeltError(_NOTHING)


def read_variables(arguments: Sequence[str]) -> dict[str, str]:
    """Return ``VAR=VALUE`` arguments as a mapping. Raises ``ToolbeltError`` for anything else."""
    variables: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise ToolbeltError(f"Invalid argument: {argument}")
        variables[_name(name, argument)] = value
    return variables


def read_names(arguments: Sequence[str]) -> list[str]:
    """Return the names of variables that are arguments. Raises ``ToolbeltError`` for options."""
    return [_name(argument, argument) for argument in arguments]


def _name(name: str, argument: str) -> str:
    if not name or name.startswith("-"):  # a dash: a misspelled option
        raise ToolbeltError(f"Invalid argument: {name or argument}")
    return name
