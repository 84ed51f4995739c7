"""The ``enclave`` command where it administers people, and what a removed one leaves."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from callers import public_key
from click.testing import CliRunner

from admin.command import main
from enclave.access import key_holder
from enclave.errors import Unauthenticated
from enclave.people import Role
from enclave.settings import settings
from enclave.store import Store
from enclave.tokens import issue_token, verify_token

Enclave = Callable[..., str]


@pytest.fixture
def enclave(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Enclave]:
    """Run a command that must succeed; returns what it prints."""
    monkeypatch.setenv("ENCLAVE_REDIS_URL", redis_url)
    monkeypatch.setenv("ENCLAVE_DATA", str(tmp_path))
    monkeypatch.setenv("ENCLAVE_PASSWORD", "correct horse")
    settings.cache_clear()

    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(main, words)
        assert (done.exit_code != 0) is fails, done.output
        return done.output

    yield run
    settings.cache_clear()


@pytest.fixture
def ann(enclave: Enclave, tmp_path: Path) -> str:
    """The admin of ``prod``, with a key."""
    key = tmp_path / "id.pub"
    key.write_text(public_key(1))
    enclave("user", "create", "ann@example.com")
    enclave("key", "add", "ann@example.com", str(key))
    enclave("environment", "create", "prod", "--admin", "ann@example.com")
    return "ann@example.com"


def test_a_password_is_changed_and_tokens_end(enclave: Enclave, ann: str, store: Store) -> None:
    user = store.people.user_by_email(ann)
    token = issue_token(store, user, url="http://h", seconds=60).access_token
    assert "1 tokens ended" in enclave("user", "password", ann)
    with pytest.raises(Unauthenticated):
        verify_token(store, token)
    assert len(store.people.keys_of(user)) == 1


def test_a_removed_user_comes_in_nowhere(enclave: Enclave, ann: str, store: Store) -> None:
    user = store.people.user_by_email(ann)
    key = store.people.keys_of(user)[0]
    token = issue_token(store, user, url="http://h", seconds=60).access_token
    assert "last admin" in enclave("user", "remove", ann, fails=True)
    verify_token(store, token)
    enclave("user", "create", "bob@example.com")
    enclave("environment", "member", "prod", "bob@example.com", "admin")
    enclave("user", "remove", ann)
    with pytest.raises(Unauthenticated):
        verify_token(store, token)
    with pytest.raises(Unauthenticated):
        store.people.authenticate(ann, "correct horse")
    assert key_holder(store, key.fingerprint) is None
    enclave("user", "create", ann)
    again = store.people.user_by_email(ann)
    assert again.id != user.id
    assert store.people.environments_of(again) == []
    store.people.add_key(again, public_key(1))


def test_members(enclave: Enclave, ann: str, store: Store) -> None:
    enclave("user", "create", "bob@example.com")
    enclave("environment", "member", "prod", "bob@example.com", "deploy")
    assert enclave("environment", "members", "prod").splitlines() == [
        "ann@example.com\tadmin",
        "bob@example.com\tdeploy",
    ]
    enclave("environment", "member", "prod", "bob@example.com", "none")
    assert store.people.role(store.people.user_by_email("bob@example.com"), 1) is None
    for gone in ("bob@example.com", "nobody@example.com"):
        enclave("environment", "member", "prod", gone, "none", fails=True)
    assert "last admin" in enclave("environment", "member", "prod", ann, "read", fails=True)
    assert store.people.role(store.people.user_by_email(ann), 1) is Role.ADMIN


@pytest.mark.usefixtures("ann")
def test_the_app_that_something_was_done_to_is_named(enclave: Enclave, store: Store) -> None:
    store.apps.create(store.apps.environment_by_handle("prod"), "web")
    newest = enclave("activity", "--newest", "1").rstrip("\n").split("\t")
    assert newest[2:4] == ["prod/web", "app.create"]


@pytest.mark.usefixtures("ann")
def test_what_it_did_is_told(enclave: Enclave) -> None:
    told = [line.split("\t")[1:5] for line in enclave("activity").splitlines()]
    who = "local administrator"
    assert [[by, action] for by, _, action, _ in told] == [
        [who, "member.add"],
        [who, "environment.create"],
        [who, "key.add"],
        [who, "user.create"],
    ]
    of_prod = enclave("activity", "--environment", "prod", "--newest", "1").splitlines()
    assert [line.split("\t")[3] for line in of_prod] == ["member.add"]
