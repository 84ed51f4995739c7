"""Who guesses passwords or tokens over the API, or logs in all the time, has to wait."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx
import jwt
import pytest
from api_app import ROOT
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from admin.receiver import _either
from api.application import create_api
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import issue_token
from receiver.places import Places

EMAIL, PASSWORD = "ann@example.com", "correct horse"
FAILURES, LOGINS = 3, 5


@pytest.fixture
def client(store: Store, tmp_path: Path) -> TestClient:
    """Somebody at one address, where three failures and five logins are allowed in a minute."""
    store.people._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    store.people.create_user(EMAIL, PASSWORD)
    places = Places(9, a_source=9, waiting=9, failures=FAILURES, logins=LOGINS)
    api = create_api(store, Settings(data=tmp_path, public_url=ROOT))
    return TestClient(_either(api, api, places), base_url=ROOT)


def log_in(client: TestClient, password: str = PASSWORD, email: str = EMAIL) -> httpx.Response:
    answer: httpx.Response = client.post("/tokens", data={"username": email, "password": password})
    return answer


def guess_token(client: TestClient, _number: int) -> httpx.Response:
    answer: httpx.Response = client.get("/apps", headers={"Authorization": "Bearer guess"})
    return answer


def guess_password(client: TestClient, number: int) -> httpx.Response:
    """Guess another person's each time, so that no one person's own limit is met."""
    return log_in(client, "wrong", f"{number}@example.com")


@pytest.mark.parametrize("guess", [guess_token, guess_password])
def test_guesses(client: TestClient, guess: Callable[[TestClient, int], httpx.Response]) -> None:
    numbers = count()
    for _ in range(FAILURES):
        assert guess(client, next(numbers)).status_code == 401
    for refused in (guess(client, next(numbers)), log_in(client)):
        assert (refused.status_code, refused.json()["error"]) == (429, "too_many_requests")
        assert "too many failed logins from your address" in refused.json()["message"]
        assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_logins_at_all(client: TestClient) -> None:
    for _ in range(LOGINS):
        assert log_in(client).status_code == 201
    refused = log_in(client)
    assert refused.status_code == 429
    assert "too many logins" in refused.json()["message"]


def test_a_good_token_is_served_whatever_others_guess(client: TestClient, store: Store) -> None:
    user = store.people.user_by_email(EMAIL)
    token = issue_token(store, user, url=ROOT, seconds=60, scope="manage").access_token
    for number in range(FAILURES + 1):
        guess_token(client, number)
    answer = client.get("/apps", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_no_token_and_an_old_one_are_no_guesses(client: TestClient, store: Store) -> None:
    user = store.people.user_by_email(EMAIL)
    claims = {"sub": f"{ROOT}/users/{user.id}", "jti": "1", "iat": 1, "exp": 2, "scope": "manage"}
    old = jwt.encode(claims, store.sealer.derive("tokens"), "HS256")
    for _ in range(FAILURES + 1):
        assert client.get("/apps").status_code == 401
        expired = client.get("/apps", headers={"Authorization": f"Bearer {old}"})
        assert expired.json()["error"] == "expired_token"
    assert log_in(client).status_code == 201
