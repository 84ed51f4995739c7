"""The ``enclave`` command: run the platform and its pieces, administer them, check a tree."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

import click

from admin.certificates import certificate
from admin.running import running_store
from enclave.errors import EnclaveError, InvalidFiles
from enclave.people import Role
from enclave.settings import settings


class _Group(click.Group):
    """A group whose commands end on our errors with one sentence, not a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EnclaveError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The installation's directory (ENCLAVE_DATA).",
)
@click.version_option(package_name="enclave")
def main(data: Path | None) -> None:
    """Enclave: push a Procfile, run a Docker image.

    Settings come from ENCLAVE_* variables; docs/operating.md lists them.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    for noisy in ("asyncssh", "dulwich", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if data is not None:
        os.environ["ENCLAVE_DATA"] = str(data)


@main.command()
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Where everything is kept."
)
@click.option("--http-port", type=int, help="API and git over HTTP (ENCLAVE_HTTP_PORT).")
@click.option("--ssh-port", type=int, help="git over SSH (ENCLAVE_SSH_PORT).")
@click.option("--workers", type=int, help="Operations at a time (ENCLAVE_WORKERS).")
@click.option("--receivers", type=int, help="Processes that share the ports (ENCLAVE_RECEIVERS).")
def up(
    data: Path | None,
    http_port: int | None,
    ssh_port: int | None,
    workers: int | None,
    receivers: int | None,
) -> None:
    """Run the whole platform on this machine, in the foreground, with a Redis of its own."""
    from admin.supervision import run_platform

    given = {
        "DATA": data,
        "HTTP_PORT": http_port,
        "SSH_PORT": ssh_port,
        "WORKERS": workers,
        "RECEIVERS": receivers,
    }
    for name, value in given.items():
        if value is not None:
            os.environ[f"ENCLAVE_{name}"] = str(value)
    run_platform(settings())


@main.command()
def receiver() -> None:
    """Run git over SSH and HTTP, and the API."""
    from admin.receiver import run_receiver

    run_receiver(settings())


@main.command()
def worker() -> None:
    """Run one worker."""
    from worker.main import run_worker

    run_worker(settings())


@main.command()
def attendant() -> None:
    """Show receivers what containers print; runs where the Docker Engine is."""
    from worker.attendant.main import run_attendant

    run_attendant(settings())


@main.command()
def housekeeper() -> None:
    """Look after the repositories on this machine: repack them in the background."""
    from receiver.housekeeper import run_housekeeper

    run_housekeeper(settings())


@main.command()
def courier() -> None:
    """Tell webhooks of the ends of operations."""
    from courier.main import run_courier

    run_courier(settings())


@main.command()
def router() -> None:
    """Keep HAProxy on this machine as the apps' endpoints want it."""
    from router.main import run_router

    run_router(settings())


@main.command()
def haproxy() -> None:
    """Run HAProxy with the configuration that the router writes."""
    from router.main import run_haproxy

    run_haproxy(settings())


@main.command()
def ready() -> None:
    """Wait until the platform answers, say how to use it; say when it stops."""
    from admin.ready import say_when_stopping, wait_until_ready, welcome

    wait_until_ready(settings())
    click.echo(welcome(settings()))
    say_when_stopping(settings())


@main.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True), default=".")
def check(directory: Path) -> None:
    """Give the hooks' verdict on the Procfile and .aptible.yml in DIRECTORY."""
    from hooks.check import CHECKED, check_directory

    if not any((directory / name).exists() for name in CHECKED):
        click.echo(f"There is no {' and no '.join(CHECKED)} in {directory}: a push would pass.")
        return
    try:
        warnings = check_directory(directory)
    except InvalidFiles as error:
        for line in error.lines():
            click.echo(f"ERROR: {line}", err=True)
        sys.exit(1)
    for warning in warnings:
        click.echo(f"WARN: {warning}", err=True)
    click.echo("A push of these files would pass.")


@main.group()
def user() -> None:
    """Manage users."""


@user.command("create")
@click.argument("email")
def create_user(email: str) -> None:
    """Create a user. The password is asked for, or taken from ENCLAVE_PASSWORD."""
    people = running_store().people
    password = os.environ.get("ENCLAVE_PASSWORD") or click.prompt(
        "Password (at least 8 characters)", hide_input=True, confirmation_prompt=True
    )
    created = people.create_user(email, password)
    click.echo(f"Created user {created.email}.")


@main.group()
def key() -> None:
    """Manage users' SSH keys."""


@key.command("add")
@click.argument("email")
@click.argument("file", type=click.File())
@click.option("--name", default="", help="What to call it; the key's comment unless given.")
def add_key(email: str, file: TextIO, name: str) -> None:
    """Give the user EMAIL the public key in FILE (- for standard input)."""
    people = running_store().people
    added = people.add_key(people.user_by_email(email), file.read(), name)
    click.echo(f"Added key {added.name} {added.fingerprint}.")


@key.command("list")
@click.argument("email")
def list_keys(email: str) -> None:
    """List the user's keys."""
    people = running_store().people
    for each in people.keys_of(people.user_by_email(email)):
        click.echo(f"{each.id}\t{each.name}\t{each.fingerprint}")


@key.command("remove")
@click.argument("email")
@click.argument("number", type=int)
def remove_key(email: str, number: int) -> None:
    """Take key NUMBER (see list) from the user."""
    people = running_store().people
    people.remove_key(people.user_by_email(email), number)
    click.echo("Removed.")


@main.group()
def environment() -> None:
    """Manage environments and their members."""


@environment.command("create")
@click.argument("handle")
@click.option("--admin", "admin_email", required=True, help="The email of its first admin.")
def create_environment(handle: str, admin_email: str) -> None:
    """Create an environment."""
    store = running_store()
    admin = store.people.user_by_email(admin_email)
    created = store.apps.create_environment(handle)
    store.people.set_role(admin, created.id, Role.ADMIN)
    click.echo(f"Created environment {created.handle}; {admin.email} is its admin.")


@environment.command("member")
@click.argument("handle")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def set_member(handle: str, email: str, role: str) -> None:
    """Make EMAIL a member of the environment with ROLE."""
    store = running_store()
    found = store.apps.environment_by_handle(handle)
    store.people.set_role(store.people.user_by_email(email), found.id, Role(role))
    click.echo(f"{email} has the role {role} in {handle}.")


main.add_command(certificate)
