"""What no log may show (SPEC 7)."""

import time
from base64 import b64encode, urlsafe_b64encode

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import AppSecrets
from enclave.credentials import RegistryCredentials
from enclave.people import User
from enclave.store import Store
from enclave.tokens import issue_token, sign_log_url
from worker.plain_text import plain_text
from worker.redaction import MASK, Redactor, secrets_of

PASSWORD = "p~?>w/rd+§"
CREDENTIALS = RegistryCredentials("example.com", "me", PASSWORD)
VALUE = "hunter2hunter2"


def hidden(**configuration: str) -> set[str]:
    return set(secrets_of(AppSecrets(configuration)))


@pytest.mark.parametrize(
    "name",
    [
        "PASSWORD",
        "DB_PASSWORD",
        "PASSWD",
        "database_password",
        "SECRET",
        "SECRET_KEY_BASE",
        "CLIENT_SECRETS",
        "TOKEN",
        "GITHUB_TOKEN",
        "PRIVATE_PEM",
        "AWS_CREDENTIALS",
        "KEY",
        "API_KEY",
        "APIKEY",
        "STRIPE_API_KEY",
        "AWS_ACCESS_KEY_ID",
        "AUTH_KEY",
        "key",
    ],
)
def test_a_variable_whose_name_speaks_of_a_secret(name: str) -> None:
    assert hidden(**{name: VALUE}) == {VALUE}


@pytest.mark.parametrize("name", ["PORT", "MONKEY", "KEYBOARD", "HOST", "NODE_ENV", "LANG"])
def test_other_variables_stay_readable(name: str) -> None:
    assert hidden(**{name: VALUE}) == set()


@pytest.mark.parametrize("value", ["", "true", "1234567", "  1234567  "])
def test_a_value_of_less_than_8_characters_is_no_secret(value: str) -> None:
    assert hidden(TOKEN=value) == set()
    assert hidden(TOKEN="12345678") == {"12345678"}


def test_a_value_of_many_lines_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\r\nMIIEvQIBADAN\nshort\n  indented-line  \n"
    assert hidden(PRIVATE_KEY=key) == {"-----BEGIN KEY-----", "MIIEvQIBADAN", "indented-line"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("postgres://user:hunter2hunter2@db/x", {VALUE}),
        ("redis://:hunter2hunter2@db", {VALUE}),
        ("a://u:hunter2hunter2@b,c://u:hunter3hunter3@d", {VALUE, "hunter3hunter3"}),
        ("postgres://user:short@db/x", set()),
        ("postgres://user@db/x", set()),
        ("http://host:8080/path@x", set()),
    ],
)
def test_a_password_inside_a_url_whatever_the_variable_is_called(
    value: str, found: set[str]
) -> None:
    assert hidden(DATABASE_URL=value) == found


@pytest.mark.parametrize("place", ["stored", "new"])
def test_registry_passwords_in_every_dress(place: str) -> None:
    secrets = AppSecrets(credentials=CREDENTIALS if place == "stored" else None)
    redactor = Redactor(secrets_of(secrets, [CREDENTIALS if place == "new" else None]))
    pair = f"me:{PASSWORD}".encode()
    for dress in (
        PASSWORD,
        "p~%3F%3Ew%2Frd%2B%C2%A7",
        b64encode(pair).decode(),
        urlsafe_b64encode(pair).decode(),
        b64encode(pair).decode().rstrip("="),
    ):
        line = redactor.redact(f"denied: {dress}!")
        assert line.startswith(f"denied: {MASK}")
        assert dress not in line


def test_a_registry_password_of_many_lines_is_hidden_line_by_line() -> None:
    """Such as a key file of Google's registry, whose user is ``_json_key``."""
    credentials = RegistryCredentials("gcr.io", "_json_key", '{\n  "key": "hunter2hunter2"\n}')
    redactor = Redactor(secrets_of(AppSecrets(credentials=credentials)))
    assert "hunter2" not in redactor.redact('  "key": "hunter2hunter2"')


def test_no_secret_nothing_masked() -> None:
    assert Redactor([]).redact("a [redacted] b") == "a [redacted] b"
    assert Redactor([""]).redact("abc") == "abc"


def test_characters_that_mean_something_to_regular_expressions_mean_themselves() -> None:
    redactor = Redactor(["a.c*(d|e)[f]$^\\"])
    assert redactor.redact("x a.c*(d|e)[f]$^\\ y") == f"x {MASK} y"
    assert redactor.redact("abccd") == "abccd"


@pytest.mark.parametrize("secrets", [["abcdefgh", "abcdefghijkl"], ["abcdefghijkl", "abcdefgh"]])
def test_the_longer_goes_first_in_whatever_order_they_come(secrets: list[str]) -> None:
    assert Redactor(secrets).redact("abcdefghijkl abcdefgh") == f"{MASK} {MASK}"


def test_every_occurrence_is_masked() -> None:
    assert Redactor(["secret12"]).redact("secret12secret12 secret12") == f"{MASK}{MASK} {MASK}"


@given(
    st.lists(st.text("abXY$.\\", min_size=8, max_size=20), min_size=1, max_size=4),
    st.text("abXY$.\\ ", max_size=50),
    st.text("abXY$.\\ ", max_size=50),
)
def test_no_secret_ever_passes(secrets: list[str], before: str, after: str) -> None:
    for secret in secrets:
        line = Redactor(secrets).redact(f"{before}{secret}{after}")
        assert not any(each in line for each in secrets)


def test_our_own_tokens_are_masked(store: Store) -> None:
    user = User(1, "me@example.com", "2026-01-01T00:00:00.000Z")
    access = issue_token(store, user, url="http://h", seconds=60, scope="manage").access_token
    for token in (access, sign_log_url(store, 7)):
        assert Redactor([]).redact(f"curl -H 'Bearer {token}'") == f"curl -H 'Bearer {MASK}'"


@pytest.mark.parametrize("claims", [1, 20, 150])
@pytest.mark.parametrize("extra", [{}, {"kid": "k" * 40, "x5t": "t" * 28}])
def test_tokens_of_others_are_masked(claims: int, extra: dict[str, str]) -> None:
    """Whatever they claim: with many roles, the middle part has thousands of characters."""
    payload = {f"role-{number}": "a group of people" for number in range(claims)}
    token = jwt.encode(payload, "k" * 64, "HS512", headers=extra)
    line = Redactor([]).redact(f"token={token}&x")
    assert line == f"token={MASK}&x"


@pytest.mark.parametrize(
    "text",
    [
        "eyJ",
        "eyJ.eyJ.x",
        "a.b.c",
        "eyJhbGciOi.txt",
        "https://example.com/eyJ0eXAiOiJKV1Qi",
        "1.2.3",
    ],
)
def test_what_only_resembles_a_token_stays(text: str) -> None:
    assert Redactor([]).redact(text) == text


@pytest.mark.parametrize("unit", ["eyJ", "eyJaaaaaaaa.", "eyJaaaaaaaa.eyJ", "hunter2"])
def test_a_megabyte_of_beginnings_takes_no_time(unit: str) -> None:
    text = unit * ((1 << 20) // len(unit))
    began = time.process_time()
    Redactor([VALUE]).redact(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("odd", ["\u202e", "\ufeff", "\x1b[1m", "\x7f", "\x0b", "\u2028"])
def test_a_secret_that_holds_what_no_line_shows_is_hidden(odd: str) -> None:
    """A line is made plain before it is redacted, and so are the secrets."""
    redactor = Redactor(secrets_of(AppSecrets({"TOKEN": f"hun{odd}ter2hun{odd}ter2"})))
    shown = plain_text(f"<hun{odd}ter2hun{odd}ter2>")
    assert redactor.redact(shown) == f"<{MASK}>"
