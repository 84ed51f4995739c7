"""Webhooks as clients make, look at and remove them: the secret is shown once (API.md)."""

from pathlib import Path
from typing import Any

import pytest
from api_app import UNKNOWN, ApiApp, create_in, follow

from enclave.operation import OperationStatus
from enclave.people import Role
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending
from enclave.webhook import Attempt

URL = "https://hooks.example.com/deployed?key=1"
SECRET = "a secret of their own"


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    world = ApiApp(store, tmp_path)
    world.put_live()
    return world


def make(world: ApiApp, **body: object) -> dict[str, Any]:
    webhooks = world.admin.get(world.path).json()["_links"]["webhooks"]["href"]
    answer = create_in(world.admin, webhooks, **{"url": URL, **body})
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()
    return webhook


def test_the_whole_url_is_for_who_may_change_it(world: ApiApp) -> None:
    """With some receivers, who knows the URL may write there."""
    made = make(world)
    assert follow(world.admin, made, "self")["url"] == URL
    reader = world.person(Role.READ)
    shown = [follow(reader, made, "self")]
    shown += reader.get(f"{world.path}/webhooks").json()["_embedded"]["webhooks"]
    assert [each["url"] for each in shown] == ["https://hooks.example.com/…"] * 2


@pytest.mark.parametrize("given", [None, SECRET])
def test_the_secret_is_shown_once(world: ApiApp, given: str | None) -> None:
    made = make(world, **({"secret": given} if given else {}))
    secret = made.pop("secret")
    assert secret == given or len(secret) == 64
    assert (made["_type"], made["url"], made["active"]) == ("webhook", URL, True)
    assert made["_embedded"] == {"deliveries": []}
    assert follow(world.admin, made, "self") == made
    app = follow(world.admin, made, "app")
    listed = follow(world.admin, app, "webhooks")
    assert listed["_embedded"]["webhooks"] == [made]
    assert world.store.webhooks.secret(world.store.webhooks.webhook(made["id"])) == secret


def test_neither_secret_nor_url_is_in_redis_in_clear(world: ApiApp) -> None:
    made = make(world, secret=SECRET)
    stored = world.store.database.raw.hgetall(f"enclave:webhook:{made['id']}")
    assert stored
    assert not any(SECRET.encode() in each or b"hooks" in each for each in stored.values())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.com/", "begins with http://"),
        ("example.com/hook", "begins with http://"),
        ("", "begins with http://"),
        ("https://example.com:0/", "port"),
        ("https://example.com:70000/", "begins with http://"),
        ("https://ann:hunter2@example.com/", "no user name or password"),
        ("https://example.com/#top", "Leave out"),
        ("https://example.com/" + "a" * 2000, "at most 2000 characters"),
        ("http://127.0.0.1/", "may not reach 127.0.0.1"),
        ("http://0x7f.1:6379/", "may not reach 127.0.0.1"),
        ("http://169.254.169.254/latest/meta-data/", "may not reach 169.254.169.254"),
        ("http://[::1]/", "may not reach ::1"),
        ("http://[::ffff:10.0.0.1]/", "may not reach"),
    ],
)
def test_an_address_that_no_webhook_can_have(world: ApiApp, url: str, said: str) -> None:
    path = f"{world.path}/webhooks"
    existing = make(world)
    for answer in (
        world.admin.post(path, json={"url": url}),
        world.admin.put(f"/webhooks/{existing['id']}", json={"url": url}),
    ):
        assert answer.status_code == 422
        assert said in answer.json()["message"]
        assert "hunter2" not in answer.text
    assert world.admin.get(path).json()["total_count"] == 1


def test_an_operator_allows_private_networks(world: ApiApp) -> None:
    world.settings.webhook_networks = "127.0.0.0/8"
    assert make(world, url="http://127.0.0.1:9/")["url"] == "http://127.0.0.1:9/"


def test_networks_that_are_none_are_told_by_name() -> None:
    with pytest.raises(ValueError, match="webhook_networks"):
        Settings(webhook_networks="10.0.0.1/8")


@pytest.mark.parametrize("secret", ["", "short", "a" * 201, "tab\tis not printable", "é" * 20])
def test_a_secret_that_is_none_is_refused_without_telling_it(world: ApiApp, secret: str) -> None:
    answer = world.admin.post(f"{world.path}/webhooks", json={"url": URL, "secret": secret})
    assert (answer.status_code, "16 to 200" in answer.text) == (422, True)
    assert not secret or secret not in answer.text


def test_an_app_has_ten_at_most(world: ApiApp) -> None:
    for _ in range(10):
        last = make(world)
    refused = world.admin.post(f"{world.path}/webhooks", json={"url": URL})
    assert (refused.status_code, "at most 10" in refused.text) == (422, True)
    assert world.admin.delete(f"/webhooks/{last['id']}").status_code == 200
    make(world)


def test_an_app_that_is_gone_gets_no_more(world: ApiApp) -> None:
    assert world.ask("deprovision").status_code == 201
    refused = world.admin.post(f"{world.path}/webhooks", json={"url": URL})
    assert (refused.status_code, "deprovisioned" in refused.text) == (422, True)


def test_changed_and_removed(world: ApiApp) -> None:
    made = make(world)
    path = f"/webhooks/{made['id']}"
    assert world.admin.put(path, json={"active": False}).json()["active"] is False
    moved = world.admin.put(path, json={"url": "http://other.example.com"}).json()
    assert (moved["url"], moved["active"]) == ("http://other.example.com/", False)
    assert "secret" not in moved
    assert world.admin.put(path, json={"active": "yes"}).status_code == 422
    assert world.admin.delete(path).json()["id"] == made["id"]
    assert world.admin.get(path).json() == UNKNOWN
    assert world.admin.get(f"{world.path}/webhooks").json()["total_count"] == 0


@pytest.mark.parametrize("role", [Role.READ, Role.DEPLOY])
def test_others_may_look(world: ApiApp, role: Role) -> None:
    made = make(world)
    del made["secret"]
    person = world.person(role)
    path = f"/webhooks/{made['id']}"
    seen = {**made, "url": "https://hooks.example.com/…"}
    assert person.get(path).json() == seen
    assert person.get(f"{world.path}/webhooks").json()["_embedded"]["webhooks"] == [seen]
    asked = [
        person.post(f"{world.path}/webhooks", json={"url": URL}),
        person.put(path, json={"active": False}),
        person.delete(path),
    ]
    assert [answer.status_code for answer in asked] == [403] * 3
    assert world.admin.get(path).json() == made


def test_a_stranger_cannot_tell_that_it_exists(world: ApiApp) -> None:
    made = make(world)
    stranger = world.person(None)
    for number in (made["id"], 4711):
        path = f"/webhooks/{number}"
        asked = [stranger.get(path), stranger.put(path, json={}), stranger.delete(path)]
        assert [answer.json() for answer in asked] == [UNKNOWN] * 3
    assert stranger.get(f"{world.path}/webhooks").json() == UNKNOWN
    assert stranger.post(f"{world.path}/webhooks", json={"url": URL}).json() == UNKNOWN


def test_how_the_last_deliveries_went(world: ApiApp) -> None:
    made = make(world)
    answer = world.ask("restart")
    world.store.leases.finish(world.take(), Ending(OperationStatus.FAILED, "it broke"))
    taken = world.store.deliveries.take(made["id"], holder="c1")
    assert taken is not None
    world.store.deliveries.settle(taken, Attempt(response_code=503))

    (delivery,) = follow(world.admin, made, "self")["_embedded"]["deliveries"]
    assert (delivery["status"], delivery["attempts"]) == ("pending", 1)
    assert (delivery["response_code"], delivery["error"]) == (503, None)
    assert delivery["created_at"] <= delivery["attempted_at"] < delivery["next_attempt_at"]
    assert delivery["ended_at"] is None
    assert follow(world.admin, delivery, "operation")["id"] == answer.json()["id"]
