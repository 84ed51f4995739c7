"""What no log may show (SPEC 7)."""

from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import AppSecrets
from enclave.credentials import RegistryCredentials
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
