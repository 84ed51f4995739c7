"""Python's ``aptible-api``, as it is on PyPI, against a served API (API.md).

It has the address of its auth server built in; nothing else of it is touched.
"""

from pathlib import Path

import pytest
import requests
from aptible.api import AptibleApi
from aptible.api.manager.aptible_auth_api import AptibleAuthApi

from enclave.people import Role
from enclave.store import Store

EMAIL, PASSWORD = "ann@example.com", "correct horse"


@pytest.fixture
def client(
    served: str, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AptibleApi:
    """The client, logged in as the admin of ``prod``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(AptibleAuthApi.__init__, "__defaults__", (served,))
    user = store.people.create_user(EMAIL, PASSWORD)
    for handle in ("prod", "staging"):
        environment = store.apps.create_environment(handle)
        store.people.set_role(user, environment.id, Role.ADMIN)
    client = AptibleApi(served)
    assert client.authorize(email=EMAIL, password=PASSWORD)
    return client


def test_a_wrong_password(client: AptibleApi) -> None:
    with pytest.raises(requests.HTTPError) as refused:
        client.authorize(email=EMAIL, password="wrong")
    assert refused.value.response.status_code == 401
    assert refused.value.response.json()["error"] == "invalid_credentials"


def test_it_creates_deploys_and_reads(client: AptibleApi) -> None:
    account = next(each for each in client.accounts() if each.handle == "prod")
    assert [app.handle for app in account.apps()] == []

    app = account.create_app(handle="web.shop-1")
    assert (app.handle, app.status) == ("web.shop-1", "pending")
    assert app.created_at.tzinfo is not None
    assert app.account_id == account.id
    assert [each.id for each in account.apps()] == [app.id]
    assert [each.id for each in client.apps()] == [app.id]

    settings = {"APTIBLE_DOCKER_IMAGE": "nginx:1"}
    operation = app.create_operation(type="deploy", settings=settings, env={"GRUSS": "日本"})
    assert (operation.type, operation.status, operation.cancelled) == ("deploy", "queued", False)
    assert operation.account().id == account.id
    assert operation.resource().id == app.id
    assert operation.user().email == EMAIL
    assert [each.id for each in app.operations()] == [operation.id]

    app.create_operation(type="restart")
    found = [each.type for each in app.operations(per_page=1)]  # its paging follows `next`
    assert found == ["restart", "deploy"]
    again = client.fetch_operation(operation.id)
    assert (again.id, again.user_email) == (operation.id, EMAIL)
    assert [each.handle for each in client.accounts(per_page=1)] == ["prod", "staging"]
    assert account.stack().region
    assert account.organization().name


def test_it_is_told_what_is_wrong(client: AptibleApi) -> None:
    app = next(iter(client.accounts())).create_app(handle="web")
    with pytest.raises(requests.HTTPError) as refused:
        app.create_operation(type="deploy")
    body = refused.value.response.json()
    assert body["message"].startswith("You need to deploy either from git or a Docker image")
    with pytest.raises(requests.HTTPError) as unknown:
        client.fetch_app(4711)
    assert unknown.value.response.status_code == 404
