"""The ``enclave`` command: run the platform and its pieces, administer them, check a tree."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from admin.administering import activity, environment, key, user
from admin.certificates import certificate
from enclave.errors import EnclaveError, InvalidFiles
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


for each in (user, key, environment, activity, certificate):
    main.add_command(each)
