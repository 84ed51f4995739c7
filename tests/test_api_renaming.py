"""``PUT /apps/N {"handle"}``: what a new name is, and who may give one."""

from pathlib import Path

import pytest
from api_app import UNKNOWN, ApiApp

from enclave.people import Role
from enclave.store import Store


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    return ApiApp(store, tmp_path)


def test_the_app_is_the_same_under_another_name(world: ApiApp) -> None:
    before = world.admin.get(world.path).json()
    answer = world.admin.put(world.path, json={"handle": "shop.web-2", "status": "gone"})
    assert answer.status_code == 200
    assert answer.json() == {
        **before,
        "handle": "shop.web-2",
        "git_repo": "ssh://git@localhost:8022/prod/shop.web-2.git",
    }
    assert world.admin.get("/find/app?handle=shop.web-2").json() == answer.json()
    assert world.admin.get("/find/app?handle=web").json() == UNKNOWN


def test_a_client_that_lost_the_answer_asks_again(world: ApiApp) -> None:
    answers = [world.admin.put(world.path, json={"handle": "shop"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_who_may(world: ApiApp) -> None:
    body = {"handle": "shop"}
    assert world.person(Role.DEPLOY).put(world.path, json=body).status_code == 403
    assert world.person(None).put(world.path, json=body).json() == UNKNOWN
    assert world.app.handle == "web"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"handle": "taken"}, 409, "exists already"),
        ({"handle": "Shop"}, 422, "lower case"),
        ({"handle": "internal-x"}, 422, "reserved"),
        ({"handle": None}, 422, "handle"),
        ({}, 422, "handle"),
    ],
)
def test_no_name(world: ApiApp, body: dict[str, str], status: int, said: str) -> None:
    world.store.apps.create(world.environment, "taken")
    answer = world.admin.put(world.path, json=body)
    assert answer.status_code == status
    assert said in answer.json()["message"]
    assert world.app.handle == "web"


def test_not_once_it_is_about_to_go(world: ApiApp) -> None:
    world.ask("deprovision")
    answer = world.admin.put(world.path, json={"handle": "shop"})
    assert answer.status_code == 422
    assert "about to be deprovisioned" in answer.json()["message"]
