"""Who belongs to an environment: by email, and its last admin for good."""

from pathlib import Path
from typing import Any

import pytest
from api_app import ApiApp, create_in
from fastapi.testclient import TestClient

from enclave.errors import Conflict
from enclave.people import Role
from enclave.store import Store, keys


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    return ApiApp(store, tmp_path)


@pytest.fixture
def members(world: ApiApp) -> str:
    return f"/accounts/{world.environment.id}/members"


def listed(client: TestClient, members: str) -> dict[str, str]:
    found = client.get(members).json()["_embedded"]["members"]
    return {each["email"]: each["role"] for each in found}


def added(world: ApiApp, members: str, email: str, role: str = "deploy") -> dict[str, Any]:
    answer = create_in(world.admin, members, email=email, role=role)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_added_shown_changed_removed(world: ApiApp, members: str) -> None:
    bob = world.person(None)
    member = added(world, members, " Stranger@example.com")
    assert (member["_type"], member["email"]) == ("member", "stranger@example.com")
    itself = member["_links"]["self"]["href"]
    assert world.admin.get(itself).json() == member
    assert listed(bob, members) == {
        "admin@example.com": "admin",
        "stranger@example.com": "deploy",
    }
    assert bob.put(itself, json={"role": "read"}).status_code == 403
    changed = world.admin.put(itself, json={"role": "read"})
    assert changed.json() == {**member, "role": "read"}
    assert world.admin.put(itself, json={"role": "read"}).json() == changed.json()
    assert world.admin.delete(itself).json() == changed.json()
    assert world.admin.get(itself).status_code == bob.get(members).status_code == 404


def test_a_known_and_an_unknown_email_are_answered_alike(world: ApiApp, members: str) -> None:
    """Else an environment's admin could find out who else has come in here."""
    world.person(None)
    known, unknown = (
        added(world, members, email) for email in ("stranger@example.com", "nobody@example.com")
    )
    differ = {"id", "email", "created_at", "_links"}
    assert set(known) == set(unknown)
    assert {key for key in known if known[key] != unknown[key]} == differ
    again = [
        create_in(world.admin, members, email=email, role="read")
        for email in ("stranger@example.com", "nobody@example.com")
    ]
    assert [answer.status_code for answer in again] == [409, 409]


def test_who_comes_later_is_a_member_from_then_on(world: ApiApp, members: str) -> None:
    added(world, members, "late@example.com", "read")
    late = world.store.people.create_user("late@example.com", "correct horse")
    assert world.client(late).get(world.path).status_code == 200
    world.store.people.remove_user(late)
    assert listed(world.admin, members) == {"admin@example.com": "admin"}


@pytest.mark.parametrize("ask", ["put", "delete"])
def test_the_last_admin_stays(ask: str, world: ApiApp, members: str) -> None:
    itself = world.admin.get(members).json()["_embedded"]["members"][0]["_links"]["self"]["href"]
    json = {"json": {"role": "deploy"}} if ask == "put" else {}
    refused = world.admin.request(ask, itself, **json)  # type: ignore[arg-type]
    assert (refused.status_code, "last admin" in refused.json()["message"]) == (409, True)
    assert world.admin.put(itself, json={"role": "admin"}).status_code == 200
    added(world, members, "another@example.com", "admin")
    assert world.admin.request(ask, itself, **json).status_code == 200  # type: ignore[arg-type]
    assert world.admin.request(ask, itself, **json).status_code in (403, 404)  # type: ignore[arg-type]


def test_of_two_admins_who_take_each_other_out_one_stays(world: ApiApp) -> None:
    store, environment_id = world.store, world.environment.id
    store.members.add(environment_id, "another@example.com", Role.ADMIN)
    first, second = store.members.of_environment(environment_id)
    store.members.remove(first)
    with pytest.raises(Conflict, match="last admin"):
        store.members.remove(second)


def test_a_member_changed_meanwhile_is_not_changed_back(world: ApiApp) -> None:
    store = world.store
    seen = store.members.add(world.environment.id, "bob@example.com", Role.READ)
    store.members.change(seen, Role.ADMIN)
    with pytest.raises(Conflict, match="meanwhile"):
        store.members.change(seen, Role.DEPLOY)


def test_memberships_of_an_older_version_are_taken_over(world: ApiApp) -> None:
    store, environment_id = world.store, world.environment.id
    bob = store.people.create_user("bob@example.com", "correct horse")
    admin = store.people.user_by_email("admin@example.com")
    older = {bob.id: "deploy", admin.id: "read"}
    for user_id, role in older.items():
        store.database.raw.hset(keys.user_environments(user_id), str(environment_id), role)
    for _ in range(2):
        store.members.take_over()
        assert store.people.role(bob, environment_id) is Role.DEPLOY
        assert store.people.role(admin, environment_id) is Role.ADMIN


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address", "role": "read"},
        {"email": "bob@example.com", "role": "owner"},
        {"email": "bob@example.com"},
        {"role": "read"},
    ],
    ids=["no address", "no role", "role missing", "email missing"],
)
def test_what_cannot_be_added(body: dict[str, str], world: ApiApp, members: str) -> None:
    assert world.admin.post(members, json=body).status_code == 422
    assert listed(world.admin, members) == {"admin@example.com": "admin"}
