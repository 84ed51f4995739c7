"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from toolbelt.selection import Selection

Command = TypeVar("Command", bound=Callable[..., Any])

timestamps_option = click.option(
    "--timestamps", is_flag=True, help="Begin each line with the time it was written."
)

environment_option = click.option(
    "--environment", "--env", "environment", help="The environment's handle."
)

container_size_option = click.option(
    "--container-size", type=int, metavar="MB", help="The memory limit of each container."
)


def app_options(command: Command) -> Command:
    """Add the options that name an app; the command is called with what they select."""

    @functools.wraps(command)
    def with_selection(
        *, app: str | None, environment: str | None, remote: str | None, **options: object
    ) -> object:
        return command(Selection(app, environment, remote), **options)

    described: Any = with_selection
    for option in (
        click.option("-r", "--remote", help="The git remote that names the app."),
        environment_option,
        click.option("--app", help="The app's handle."),
    ):
        described = option(described)
    decorated: Command = described
    return decorated
