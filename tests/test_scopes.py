"""Tokens for machines and for looking: made, listed with their last use, ended (API.md, Tokens)."""

import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_app import ROOT, ApiApp
from certificates import given_certificate
from fastapi.testclient import TestClient
from full_redis import full
from hypothesis import given
from hypothesis import strategies as st

from enclave.clock import iso
from enclave.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from enclave.people import Role, fingerprint
from enclave.principal import MANAGE, READ_ONLY, Scope, read_scope
from enclave.store import Store, keys
from enclave.store.people import MOST_KEYS
from enclave.tokens import issue_token, verify_token

DAY = 24 * 3600


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    return ApiApp(store, tmp_path)


@pytest.fixture
def tokens(world: ApiApp) -> str:
    return f"/users/{world.store.people.user_by_email('admin@example.com').id}/tokens"


def make(world: ApiApp, tokens: str, **body: object) -> dict[str, Any]:
    answer = world.admin.post(tokens, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(world: ApiApp, token: dict[str, Any]) -> TestClient:
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    return TestClient(world.api, base_url=ROOT, headers=headers)


def listed(world: ApiApp, tokens: str) -> list[dict[str, Any]]:
    answer = world.admin.get(tokens)
    found: list[dict[str, Any]] = answer.json()["_embedded"]["tokens"]
    assert "access_token" not in answer.text
    return found


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("", MANAGE),
        ("manage", MANAGE),
        ("read", READ_ONLY),
        ("app:41", Scope(Role.DEPLOY, 41)),
    ],
)
def test_a_scope(text: str, scope: Scope) -> None:
    assert read_scope(text) == scope
    assert str(scope) == (text or "manage")


@pytest.mark.parametrize(
    "text", ["all", "app:", "app:0", "app:-1", "app:٤", "Manage", "read app:4"]
)
def test_what_is_no_scope(text: str) -> None:
    with pytest.raises(InvalidInput, match="scope"):
        read_scope(text)


@given(st.text() | st.from_regex("app:[0-9]{1,20}", fullmatch=True))
def test_any_scope_is_read_back_or_refused(text: str) -> None:
    try:
        scope = read_scope(text)
    except InvalidInput:
        return
    assert read_scope(str(scope)) == scope


def test_made_listed_ended(world: ApiApp, tokens: str) -> None:
    asked = {"scope": f"app:{world.app.id}", "name": "CI of web", "expires_in": 30 * DAY}
    made = make(world, tokens, **asked)
    assert (made["token_type"], made["expires_in"]) == ("bearer", 30 * DAY)
    known = {key: made[key] for key in ("id", "scope", "name", "created_at", "expires_at")}
    newest = next(each for each in listed(world, tokens) if each["name"])
    assert newest.items() >= known.items()
    assert newest["last_used_at"] is None
    itself = made["_links"]["self"]["href"]
    assert world.admin.get(itself).json() == newest
    assert bearer(world, made).get(world.path).status_code == 200
    assert world.admin.get(itself).json()["last_used_at"] is not None
    assert world.admin.delete(itself).json()["id"] == made["id"]
    assert bearer(world, made).get(world.path).status_code == 401
    assert world.admin.get(itself).status_code == 404
    assert made["id"] not in {each["id"] for each in listed(world, tokens)}


@pytest.mark.parametrize(
    ("asked", "given_days"), [({}, 90), ({"expires_in": 1000 * DAY}, 365), ({"expires_in": DAY}, 1)]
)
def test_how_long(asked: dict[str, int], given_days: int, world: ApiApp, tokens: str) -> None:
    made = make(world, tokens, **asked)
    assert made["expires_in"] == given_days * DAY
    assert world.store.database.raw.ttl(keys.token(made["id"])) <= given_days * DAY


@pytest.mark.parametrize(
    "body",
    [{"scope": "all"}, {"expires_in": 0}, {"name": "n" * 101}],
    ids=lambda body: next(iter(body)),
)
def test_what_cannot_be_made(body: dict[str, object], world: ApiApp, tokens: str) -> None:
    assert world.admin.post(tokens, json=body).status_code == 422
    assert len(listed(world, tokens)) == 1


def test_a_password_gives_scopes_too(world: ApiApp) -> None:
    form = {"username": "admin@example.com", "password": "correct horse"}

    def ask(scope: str) -> httpx.Response:
        answer: httpx.Response = world.admin.post("/tokens", data={**form, "scope": scope})
        return answer

    assert ask("read").json()["scope"] == "read"
    assert ask(f"app:{world.app.id}").json()["scope"] == f"app:{world.app.id}"
    assert ask("app:987654321").status_code == 404


def test_the_last_use_is_noted_once_a_minute(
    world: ApiApp, tokens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(world, tokens, scope="read")
    begin = int(time.time())

    def used(after: int) -> str:
        monkeypatch.setattr(time, "time", lambda: float(begin + after))
        verify_token(world.store, made["access_token"])
        found: str = world.admin.get(made["_links"]["self"]["href"]).json()["last_used_at"]
        return found

    assert used(10) == used(69) == iso(begin + 10)
    assert used(70) == iso(begin + 70)


def test_a_full_store_fails_no_request_for_it(world: ApiApp, tokens: str) -> None:
    reader = bearer(world, make(world, tokens, scope="read"))
    with full(world.store):
        assert reader.get("/apps").status_code == 200


def test_expired_ones_vanish(world: ApiApp, tokens: str) -> None:
    made = make(world, tokens, name="short", expires_in=60)
    raw = world.store.database.raw
    raw.expire(keys.token(made["id"]), 0)
    assert "short" not in {each["name"] for each in listed(world, tokens)}
    user = world.store.people.user_by_email("admin@example.com")
    raw.zadd(keys.user_tokens(user.id), {made["id"]: time.time() - 10})
    issue_token(world.store, user, url=ROOT, seconds=60)
    assert raw.zscore(keys.user_tokens(user.id), made["id"]) is None


def test_another_password_ends_them_all(world: ApiApp, tokens: str) -> None:
    people = world.store.people
    user = people.user_by_email("admin@example.com")
    make(world, tokens, scope="read")
    assert people.set_password(user, "battery staple") == 2
    assert world.admin.get(world.path).json()["error"] == "invalid_token"
    assert people.authenticate("admin@example.com", "battery staple") == user
    with pytest.raises(Unauthenticated):
        people.authenticate("admin@example.com", "correct horse")


def test_a_token_made_while_the_password_changes_counts_as_little(world: ApiApp) -> None:
    """It was asked for before, by a login or with another token, and is stored afterwards."""
    people = world.store.people
    before = people.authenticate("admin@example.com", "correct horse")
    people.set_password(before, "battery staple")
    late = issue_token(world.store, before, url=ROOT, seconds=60)
    with pytest.raises(Unauthenticated):
        verify_token(world.store, late.access_token)
    after = people.authenticate("admin@example.com", "battery staple")
    good = issue_token(world.store, after, url=ROOT, seconds=60)
    assert verify_token(world.store, good.access_token).user == before


def test_a_full_store_keeps_no_token_alive(world: ApiApp, tokens: str) -> None:
    intruder = bearer(world, make(world, tokens, scope="manage"))
    people = world.store.people
    with full(world.store):
        people.set_password(people.user_by_email("admin@example.com"), "battery staple")
        assert intruder.get("/apps").status_code == 401


def test_who_is_removed_is_gone_whatever_they_had(world: ApiApp) -> None:
    people = world.store.people
    user = people.create_user("many@example.com", "correct horse")
    token = issue_token(world.store, user, url=ROOT, seconds=60).access_token
    for number in range(MOST_KEYS):
        people.add_key(user, new_key(number))
    with pytest.raises(Conflict, match="100 SSH keys"):
        people.add_key(user, new_key(MOST_KEYS))
    people.remove_user(user)
    with pytest.raises(Unauthenticated):
        verify_token(world.store, token)
    assert people.key_by_fingerprint(fingerprint(new_key(0))) is None
    with pytest.raises(NotFound):
        people.remove_user(user)


def test_a_token_for_one_app_uses_nothing_of_the_environment(world: ApiApp, tokens: str) -> None:
    """It sees no certificate, so it can serve nobody's host either."""
    world.put_live()
    given = given_certificate("secret-project.example.com")
    certificate = world.store.certificates.add(world.environment.id, *given)
    machine = bearer(world, make(world, tokens, scope=f"app:{world.created.id}"))
    vhosts = world.service()["_links"]["vhosts"]["href"]
    asked = [
        machine.post(vhosts, json={"type": "http", "certificate": named, "user_domain": "x.y"})
        for named in (certificate.id, 999)
    ]
    assert [answer.status_code for answer in asked] == [422, 422]
    assert asked[0].text == asked[1].text


def test_a_narrower_token_hears_nothing_by_an_idempotency_key(world: ApiApp, tokens: str) -> None:
    key, body = {"Idempotency-Key": "k"}, {"type": "configure", "env": {"A": "1"}}
    address = f"{world.path}/operations"
    assert world.admin.post(address, json=body, headers=key).status_code == 201
    other = world.store.apps.create(world.environment, "other")
    machine = bearer(world, make(world, tokens, scope=f"app:{other.id}"))
    asked = [
        machine.post(path, json=body, headers=key) for path in (address, "/apps/987654/operations")
    ]
    assert [answer.status_code for answer in asked] == [404, 404]
    assert asked[0].text == asked[1].text
    mine = machine.post(f"/apps/{other.id}/operations", json=body, headers=key)
    assert mine.status_code == 201
    looking = bearer(world, make(world, tokens, scope="read"))
    assert looking.post(address, json=body, headers=key).status_code == 403


def new_key(number: int) -> str:
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32)
    return f"ssh-ed25519 {b64encode(blob).decode()} key-{number}"
