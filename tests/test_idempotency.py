"""``Idempotency-Key``: however often an operation is asked for with one key, it is made once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from api_app import ApiApp
from fastapi.testclient import TestClient

from enclave.people import Role
from enclave.store import Store

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
BODY = {
    "type": "deploy",
    "settings": {"APTIBLE_DOCKER_IMAGE": "nginx:1"},
    "sensitive_settings": {
        "APTIBLE_PRIVATE_REGISTRY_USERNAME": "robot",
        "APTIBLE_PRIVATE_REGISTRY_PASSWORD": "hunter2",
    },
}


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    return ApiApp(store, tmp_path)


def ask(
    world: ApiApp, body: object = BODY, client: TestClient | None = None, path: str = ""
) -> httpx.Response:
    address = path or f"{world.path}/operations"
    answer: httpx.Response = (client or world.admin).post(address, json=body, headers=KEY)
    return answer


def operations(world: ApiApp) -> int:
    return world.store.operations.count(world.created.id)


def test_the_same_again_is_the_same_operation(world: ApiApp) -> None:
    first, again = ask(world), ask(world)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert operations(world) == 1


def test_it_is_told_as_it_is_now_whatever_has_happened_since(world: ApiApp) -> None:
    """The same body would be refused by now: the app is about to be deprovisioned."""
    first = ask(world).json()
    world.ask("deprovision")
    world.take()
    again = ask(world).json()
    assert (again["id"], again["status"]) == (first["id"], "running")


@pytest.mark.parametrize(
    "other",
    [{**BODY, "container_count": 2}, {"type": "configure", "env": {"A": "1"}}],
    ids=["another count", "another type"],
)
def test_another_body_is_refused(world: ApiApp, other: dict[str, object]) -> None:
    first = ask(world).json()
    answer = ask(world, other)
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_reused")
    assert f"which made operation {first['id']}" in answer.json()["message"]
    assert operations(world) == 1


def test_the_same_body_for_another_resource_is_refused(world: ApiApp) -> None:
    other = world.store.apps.create(world.environment, "other")
    ask(world)
    assert ask(world, path=f"/apps/{other.id}/operations").status_code == 422


def test_a_key_is_its_users_own(world: ApiApp) -> None:
    colleague = world.person(Role.DEPLOY)
    assert ask(world).json()["id"] != ask(world, client=colleague).json()["id"]
    assert operations(world) == 2


def test_a_refused_request_uses_no_key_up(world: ApiApp) -> None:
    assert ask(world, {"type": "restart"}).status_code == 422
    assert ask(world).status_code == 201


def test_who_may_not_see_the_app_any_more_is_told_nothing(world: ApiApp) -> None:
    ask(world)
    world.store.members.add(world.environment.id, "another@example.com", Role.ADMIN)
    world.store.members.remove_email(world.environment.id, f"{Role.ADMIN}@example.com")
    assert ask(world).status_code == 404


def test_without_a_key_each_request_makes_one(world: ApiApp) -> None:
    world.ask("deploy", settings=BODY["settings"])
    world.ask("deploy", settings=BODY["settings"])
    assert operations(world) == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
def test_a_key_that_is_none(world: ApiApp, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = world.admin.post(f"{world.path}/operations", json=BODY, headers=headers)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["message"]
    assert operations(world) == 0


@pytest.mark.parametrize("differing", [False, True], ids=["alike", "differing"])
def test_of_racing_ones_one_makes_an_operation(world: ApiApp, *, differing: bool) -> None:
    def race(number: int) -> httpx.Response:
        return ask(world, {**BODY, "container_count": number} if differing else BODY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(race, range(1, 9)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["id"] for answer in made}) == 1
    assert len(made) == (1 if differing else 8)
    assert operations(world) == 1


def test_it_is_kept_for_a_day_and_holds_no_secret(world: ApiApp) -> None:
    ask(world)
    raw = world.store.database.raw
    [key] = raw.keys("*idempotency*")
    assert 23 * 3600 < raw.ttl(key) <= 24 * 3600
    assert b"hunter2" not in key + raw.get(key)
    raw.delete(key)
    assert ask(world).status_code == 201
    assert operations(world) == 2


def test_operations_on_services_and_endpoints_take_it_too(world: ApiApp) -> None:
    world.put_live()
    service = world.service()
    vhost = world.admin.post(f"/services/{service['id']}/vhosts", json={"default": True}).json()
    for path, body in (
        (f"/services/{service['id']}/operations", {"type": "scale", "container_count": 3}),
        (f"/vhosts/{vhost['id']}/operations", {"type": "provision"}),
    ):
        headers = {"Idempotency-Key": path}
        answers = [world.admin.post(path, json=body, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
        assert answers[0].json()["id"] == answers[1].json()["id"]
    assert operations(world) == 3


def test_an_operation_that_is_in_no_queue_is_made_once_too(world: ApiApp) -> None:
    world.put_live()
    before = operations(world)
    answers = [ask(world, {"type": "execute", "command": "sh"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["status"] == "succeeded"
    assert operations(world) == before + 1
