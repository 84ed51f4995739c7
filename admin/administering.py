"""The part of the ``enclave`` command that administers: users, keys, environments, activity.

Whoever runs it is the local administrator, and so the activity calls them.
"""

from __future__ import annotations

import os
from typing import TextIO

import click

from admin.running import running_store
from enclave.clock import iso
from enclave.people import Role

_OUT = "none"


@click.group()
def user() -> None:
    """Manage users."""


@user.command("create")
@click.argument("email")
def create_user(email: str) -> None:
    """Create a user. The password is asked for, or taken from ENCLAVE_PASSWORD."""
    people = running_store().people
    created = people.create_user(email, _password())
    click.echo(f"Created user {created.email}.")


@user.command("password")
@click.argument("email")
def set_password(email: str) -> None:
    """Set another password, and end all tokens of the user; SSH keys stay (see key list).

    The password is asked for, or taken from ENCLAVE_PASSWORD.
    """
    people = running_store().people
    known = people.user_by_email(email)
    ended = people.set_password(known, _password())
    click.echo(f"Changed the password of {known.email}; {ended} tokens ended.")


@user.command("remove")
@click.argument("email")
def remove_user(email: str) -> None:
    """Remove a user with their keys, tokens and memberships; what they deployed stays."""
    people = running_store().people
    known = people.user_by_email(email)
    people.remove_user(known)
    click.echo(f"Removed user {known.email}.")


def _password() -> str:
    return os.environ.get("ENCLAVE_PASSWORD") or click.prompt(
        "Password (at least 8 characters)", hide_input=True, confirmation_prompt=True
    )


@click.group()
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


@click.group()
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
@click.argument("role", type=click.Choice([*(role.value for role in Role), _OUT]))
def set_member(handle: str, email: str, role: str) -> None:
    """Make EMAIL a member of the environment with ROLE; none takes them out."""
    store = running_store()
    found = store.apps.environment_by_handle(handle)
    if role == _OUT:
        store.members.remove_email(found.id, email)
        click.echo(f"{email} is no member of {handle}.")
        return
    store.people.set_role(store.people.user_by_email(email), found.id, Role(role))
    click.echo(f"{email} has the role {role} in {handle}.")


@environment.command("members")
@click.argument("handle")
def list_members(handle: str) -> None:
    """List the environment's members."""
    store = running_store()
    for each in store.members.of_environment(store.apps.environment_by_handle(handle).id):
        click.echo(f"{each.email}\t{each.role}")


@click.command()
@click.option("--environment", "handle", help="Only of this environment and its apps.")
@click.option("--newest", type=click.IntRange(1), default=100, show_default=True)
def activity(handle: str | None, newest: int) -> None:
    """Print who changed what, when and from where, newest first."""
    store = running_store()
    kept = store.activities.of_installation()
    if handle is not None:
        kept = store.activities.of_environment(store.apps.environment_by_handle(handle).id)
    found = kept.newest(newest)
    named = {
        app.id: app.name for app in store.apps.apps(sorted({a.app_id for a in found if a.app_id}))
    }
    for each in found:
        by = each.actor
        words = [
            iso(each.seconds),
            by.email,
            named.get(each.app_id or 0, ""),
            each.action,
            each.about,
            by.proof,
            by.source,
            by.agent,
        ]
        click.echo("\t".join(words))
