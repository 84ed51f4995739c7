"""``aptible webhooks:…`` as people run it, against the API over loopback."""

import json
from pathlib import Path

import pytest
from terminal import Terminal

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.people import Role
from enclave.store import Store
from enclave.store.leases import Ending
from enclave.tokens import issue_token
from enclave.webhook import Attempt

URL = "https://example.com/deployed"


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


@pytest.fixture
def me(store: Store, app: App, served: str, tmp_path: Path) -> Terminal:
    user = store.people.create_user("me@example.com", "correct horse")
    store.people.set_role(user, app.environment_id, Role.ADMIN)
    home = tmp_path / "home"
    home.mkdir()
    terminal = Terminal(home, served)
    token = issue_token(store, user, url=served, seconds=60, scope="manage").access_token
    terminal.environment["APTIBLE_ACCESS_TOKEN"] = token
    return terminal


def test_created_listed_and_removed(me: Terminal, store: Store, app: App) -> None:
    created = me.run(f"webhooks:create --app web {URL}")
    assert created.returncode == 0, created.stderr
    assert "shown this once" in created.stderr
    (webhook,) = store.webhooks.of_app(app.id)
    secret = store.webhooks.secret(webhook)
    assert created.stdout == f"Id: {webhook.id}\nUrl: {URL}\nActive: true\nSecret: {secret}\n"

    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
    store.operations.submit(request, Changes())
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
    taken = store.deliveries.take(webhook.id, holder="c1")
    assert taken is not None
    store.deliveries.settle(taken, Attempt(response_code=503))
    listed = me.says("webhooks:list --app web")
    assert listed.endswith("Last Delivery: pending after 1 attempt(s): answer 503\n")
    assert secret not in listed
    me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
    (described,) = json.loads(me.says("webhooks:list --app web"))
    assert described["deliveries"][0]["response_code"] == 503

    refused = me.run("webhooks:rm --app web 4711")
    assert (refused.returncode, "has no webhook 4711" in refused.stderr) == (1, True)
    assert me.run(f"webhooks:rm --app web {webhook.id}").returncode == 0
    assert store.webhooks.of_app(app.id) == []


def test_a_refusal_is_told(me: Terminal) -> None:
    refused = me.run("webhooks:create --app web http://169.254.169.254/")
    assert refused.returncode == 1
    assert "may not reach 169.254.169.254" in refused.stderr
