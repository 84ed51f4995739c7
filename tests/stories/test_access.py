"""Who may come in, what they may ask, what strangers learn: nothing (SPEC 2.11, invariant 7)."""

import os
from collections.abc import Callable

import pytest
from conftest import App

from testbed.installation import Installation
from testbed.person import Finished, Person


@pytest.fixture(scope="session")
def stranger(installation: Installation) -> Person:
    """A user without any environment."""
    stranger = installation.person("mallory@example.com")
    stranger.log_in()
    return stranger


def _ssh(person: Person, *command: str) -> Finished:
    program = person.environment["GIT_SSH_COMMAND"].split()
    return person.run(*program, "-T", "-p", str(person.ssh_port), "git@localhost", *command)


def test_ssh_greets_who_only_says_hello(ann: Person) -> None:
    greeted = _ssh(ann)

    assert greeted.returncode == 0
    assert greeted.stdout.strip() == (
        "Hi ann@example.com! Welcome to Aptible. Please use `git push` to connect."
    )


def test_an_unknown_key_is_denied(installation: Installation, ann: Person) -> None:
    key = installation.directory / "unknown"
    ann.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)).check_returncode()
    program = ann.environment["GIT_SSH_COMMAND"].replace(f"{ann.home}/id_ed25519", str(key)).split()
    denied = ann.run(*program, "-T", "-p", str(ann.ssh_port), "git@localhost")

    assert denied.returncode == 255
    assert "Permission denied (publickey)" in denied.stderr


def test_another_user_name_is_denied(ann: Person) -> None:
    program = ann.environment["GIT_SSH_COMMAND"].split()
    denied = ann.run(*program, "-T", "-p", str(ann.ssh_port), "root@localhost")

    assert denied.returncode == 255
    assert "Permission denied (publickey)" in denied.stderr


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "sh -c 'id'",
        "git-upload-archive '/stories/app-1.git'",
        "git-receive-pack",
        "git-receive-pack 'a' 'b'",
        "git-receive-pack '../../etc'",
        "git-receive-pack '/etc/passwd'",
        "git-receive-pack '~root/x.git'",
        "git-receive-pack 'a/b\nc.git'",
        "git-receive-pack 'unclosed",
    ],
)
def test_nothing_but_git_is_served(command: str, ann: Person) -> None:
    refused = _ssh(ann, command)

    assert refused.returncode == 128
    assert refused.stderr.startswith("ERROR: ")
    assert refused.stdout == ""


@pytest.mark.parametrize("option", ["-R 0:localhost:1", "-W localhost:1"])
def test_no_forwarding(option: str, ann: Person) -> None:
    program = ann.environment["GIT_SSH_COMMAND"].split()
    asked = ann.run(
        *(*program, *option.split(), "-o", "ExitOnForwardFailure=yes", "-T"),
        *("-p", str(ann.ssh_port), "git@localhost"),
    )
    assert asked.returncode == 255
    assert "Hi " not in asked.stdout


@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_a_foreign_app_and_an_unknown_one_look_the_same(
    transport: str, app: App, stranger: Person
) -> None:
    remote: Callable[[str], str] = stranger.remote if transport == "ssh" else stranger.http_remote
    foreign = stranger.run("git", "ls-remote", remote(app.name))
    unknown = stranger.run("git", "ls-remote", remote("stories/no-such-app"))

    assert foreign.returncode == unknown.returncode == 128
    assert foreign.stderr.replace(app.handle, "X") == unknown.stderr.replace("no-such-app", "X")


def test_the_api_tells_a_stranger_nothing_either(app: App, stranger: Person) -> None:
    bearer = f"Authorization: Bearer {stranger.token()}"
    number = app.installation.app_id(app.name)
    foreign = stranger.run("curl", "-s", "-i", "-H", bearer, f"{app.owner.url}/apps/{number}")
    unknown = stranger.run("curl", "-s", "-i", "-H", bearer, f"{app.owner.url}/apps/999999")

    assert "404" in foreign.stdout.splitlines()[0]
    assert _without_date(foreign.stdout) == _without_date(unknown.stdout)


def _without_date(answer: str) -> list[str]:
    return [line for line in answer.splitlines() if not line.lower().startswith("date:")]


def test_a_member_who_may_only_read_cannot_push(app: App, installation: Installation) -> None:
    reader = installation.person(f"reader-{app.handle}@example.com")
    installation.enclave("environment", "member", "stories", reader.email, "read")
    reader.log_in()

    assert reader.run("git", "ls-remote", reader.remote(app.name)).returncode == 128
    assert app.handle in reader.aptible("apps").stdout
    assert reader.aptible("deploy", "--app", app.handle, "--docker-image", "x").returncode == 1


def test_http_asks_for_credentials_and_takes_a_token(app: App) -> None:
    url = f"{app.owner.url}/{app.name}.git/info/refs?service=git-receive-pack"
    asked = app.owner.run("curl", "-s", "-i", url)
    assert "401" in asked.stdout.splitlines()[0]
    assert "www-authenticate: basic" in asked.stdout.lower()

    wrong = app.owner.run("curl", "-s", "-i", "-u", "ann:not-a-token", url)
    assert "401" in wrong.stdout.splitlines()[0]

    app.repository.commit(Procfile="web: exec serve\n")
    remote = app.owner.http_remote(app.name)
    pushed = app.repository.git("push", remote, "master:topic")
    assert pushed.returncode == 0, pushed.stderr
    assert "Nothing was deployed" in pushed.stderr
    clone = app.owner.run("git", "clone", "-q", "-b", "topic", remote, f"http-{app.handle}")
    assert clone.returncode == 0, clone.stderr


def test_a_big_push_over_http_goes_in_chunks(app: App) -> None:
    """Over 1 MB git sends the pack chunked, after a probe of four bytes."""
    app.repository.commit(Procfile="web: exec serve\n")
    (app.repository.path / "blob").write_bytes(bytes(range(256)) * 40)
    (app.repository.path / "noise").write_bytes(os.urandom(3 << 20))
    app.repository.commit("big")

    pushed = app.repository.git("push", app.owner.http_remote(app.name), "master:topic")

    assert pushed.returncode == 0, pushed.stderr
    assert set(app.repository.remote_refs()) == {"refs/heads/topic"}
