"""A machine that deploys has a token for one app, or a key of the environment; no person's own."""

import json
from typing import Any

import jwt
import pytest
from conftest import App

from testbed.installation import Installation
from testbed.person import Person


@pytest.fixture(scope="session")
def machine(installation: Installation) -> Person:
    """It has a key that no one registered, and no user: only where it lives is used."""
    directory = installation.directory
    return Person(
        "ci@example.com",
        password="",
        home=directory / "machine",
        url=installation.url,
        ssh_port=installation.ssh_port,
        environment=installation.environment,
    )


def api(app: App, token: str, method: str, path: str, **body: str) -> dict[str, Any]:
    """Ask the API as whoever has the token, with a lie about where they are."""
    answer = app.owner.run(
        *("curl", "-s", "-X", method, "-H", f"Authorization: Bearer {token}"),
        *("-H", "Content-Type: application/json", "-d", json.dumps(body)),
        *("-H", "X-Forwarded-For: 192.0.2.66"),
        f"{app.owner.url}{path}",
    )
    said: dict[str, Any] = json.loads(answer.stdout)
    return said


def activity(app: App) -> list[dict[str, Any]]:
    number = app.installation.app_id(app.name)
    listed = api(app, app.owner.token(), "GET", f"/apps/{number}/activity")
    newest_first: list[dict[str, Any]] = listed["_embedded"]["activity"]
    return newest_first


def test_a_token_for_one_app_pushes_there_and_sees_nothing_else(app: App, machine: Person) -> None:
    owner, number = app.owner, app.installation.app_id(app.name)
    tokens = f"/users/{_user_id(app)}/tokens"
    made = api(app, owner.token(), "POST", tokens, scope=f"app:{number}", name="ci")

    remote = f"{owner.url}/{app.name}.git".replace("://", f"://ci:{made['access_token']}@")
    repository = machine.repository(app.name, remote=remote)
    repository.commit(Procfile="web: exec serve\n")
    pushed = repository.git("push", "aptible", "master:topic")
    assert pushed.returncode == 0, pushed.stderr

    newest, before, *_ = activity(app)
    assert (before["action"], before["remote_address"]) == ("token.create", "127.0.0.1")
    assert (newest["action"], newest["user_email"]) == ("push", owner.email)
    assert newest["about"].startswith("refs/heads/topic ")
    assert newest["proof"] == f"token {made['id']} (app:{number})"
    assert newest["remote_address"] == "127.0.0.1"
    assert newest["user_agent"].startswith("git/")
    assert api(app, made["access_token"], "GET", "/apps")["total_count"] == 1
    assert api(app, made["access_token"], "GET", tokens)["code"] == 404

    api(app, owner.token(), "DELETE", f"/tokens/{made['id']}")
    assert repository.git("push", "aptible", "master:again").returncode != 0


def test_a_deploy_key_pushes_until_it_is_taken_away(app: App, machine: Person) -> None:
    account = api(app, app.owner.token(), "GET", "/accounts")["_embedded"]["accounts"][0]["id"]
    repository = machine.repository(app.name)
    repository.commit(Procfile="web: exec serve\n")
    assert repository.git("push", "aptible", "master:topic").returncode != 0

    keys = f"/accounts/{account}/ssh_keys"
    key = api(
        app, app.owner.token(), "POST", keys, ssh_public_key=machine.public_key, name="builder"
    )
    pushed = repository.git("push", "aptible", "master:topic")
    assert pushed.returncode == 0, pushed.stderr
    newest = activity(app)[0]
    assert newest["user_email"] == "builder (deploy key)"
    assert newest["proof"] == f"key {key['public_key_fingerprint']}"
    assert newest["user_agent"].startswith("SSH-2.0-OpenSSH")

    api(app, app.owner.token(), "DELETE", f"/ssh_keys/{key['id']}")
    assert repository.git("push", "aptible", "master:again").returncode != 0


def _user_id(app: App) -> int:
    """Return the owner's number, which stands in their token for every client to read."""
    claims = jwt.decode(app.owner.token(), options={"verify_signature": False})
    return int(str(claims["sub"]).rpartition("/")[2])
