"""Access tokens: what clients read in them, and what makes one worthless."""

import base64
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest

from enclave.errors import Unauthenticated
from enclave.people import User
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.tokens import (
    IssuedToken,
    issue_token,
    sign_log_url,
    verify_log_url,
    verify_token,
)

URL = "http://localhost:8080"


@pytest.fixture
def user(store: Store) -> User:
    return store.people.create_user("me@example.com", "correct horse")


def issue(store: Store, user: User, seconds: int = 60) -> IssuedToken:
    return issue_token(store, user, url=URL, seconds=seconds, scope="manage")


def refusal(store: Store, text: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        verify_token(store, text)
    assert text[-20:] not in str(refused.value) or not text
    return refused.value.code


def test_a_token_says_whose_it_is(store: Store, user: User) -> None:
    issued = issue(store, user)
    assert verify_token(store, issued.access_token).user == user
    assert issued.record.expires_at - issued.record.created_at == 60
    assert issued.access_token not in repr(issued)


def test_clients_find_a_uri_with_a_path_in_it(store: Store, user: User) -> None:
    issued = issue(store, user)
    claims = jwt.decode(issued.access_token, options={"verify_signature": False})
    assert urlsplit(claims["sub"]).path == f"/users/{user.id}"
    assert claims["scope"] == "manage"
    assert claims["jti"] == issued.record.id


def test_an_expired_one(store: Store, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    an_hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_ago)
    issued = issue(store, user)
    monkeypatch.undo()
    assert refusal(store, issued.access_token) == "expired_token"


def test_a_revoked_one(store: Store, user: User) -> None:
    issued = issue(store, user)
    store.tokens.revoke(issued.record)
    assert refusal(store, issued.access_token) == "invalid_token"


def test_one_signed_with_another_key(
    store: Store, user: User, redis_url: str, tmp_path: Path
) -> None:
    elsewhere = Store(redis_url, Sealer.from_settings("", tmp_path / "elsewhere"))
    assert refusal(store, issue(elsewhere, user).access_token) == "invalid_token"


def test_one_of_a_user_that_is_gone(store: Store, user: User) -> None:
    nobody = User(user.id + 1, "nobody@example.com", "")
    assert refusal(store, issue(store, nobody).access_token) == "invalid_token"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ü.ü.ü", "\0", "x" * 100_000])
def test_what_is_no_token_at_all(store: Store, text: str) -> None:
    assert refusal(store, text) == "invalid_token"


def test_one_that_names_no_algorithm(store: Store, user: User) -> None:
    _, body, _ = issue(store, user).access_token.split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    assert refusal(store, f"{header.decode().rstrip('=')}.{body}.") == "invalid_token"


def test_a_log_url_opens_one_log_and_nothing_else(store: Store, user: User) -> None:
    text = sign_log_url(store, 7)
    verify_log_url(store, text, 7)
    with pytest.raises(Unauthenticated):
        verify_log_url(store, text, 8)
    assert refusal(store, text) == "invalid_token"
    with pytest.raises(Unauthenticated):
        verify_log_url(store, issue(store, user).access_token, 7)
