"""Logging in."""

from __future__ import annotations

import click

from toolbelt.addresses import auth_root
from toolbelt.errors import Refused, ToolbeltError
from toolbelt.session import connect
from toolbelt.tokens import read_lifetime, save_token


@click.command()
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
    with connect(auth_root()) as server:
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


COMMANDS = {"login": login}
