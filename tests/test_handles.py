"""Handles (SPEC 1)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enclave.errors import InvalidHandle
from enclave.handles import check_handle


@pytest.mark.parametrize(
    "handle",
    [
        "a",
        "0",
        "app",
        "my-app",
        "my_app",
        "my.app",
        "-",
        "_",
        ".",
        "..",
        "-app-",
        "42",
        "internal",
        "internal_app",
        "an-internal-app",
        "a" * 64,
    ],
)
def test_what_is_a_handle_is_given_back(handle: str) -> None:
    assert check_handle(handle) == handle


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("a" * 65, "has 65"),
        ("A" * 65, "at most 64"),
        ("App", "write 'app'"),
        ("APP.1", "write 'app.1'"),
        ("my app", "' ' (character 3)"),
        (" app", "character 1"),
        ("app\n", r"'\n' (character 4)"),
        ("env/app", "'/' (character 4)"),
        ("../etc", "'/'"),
        ("app\0", r"'\x00'"),
        ("café", "'é'"),
        ("a\u0660", "cannot contain"),  # a digit, for str.isdigit and for \d
        ("\u212a", "write 'k'"),  # the Kelvin sign
        ("My App", "'M'"),
        ("internal-", "reserved"),
        ("internal-app", "'internal-'"),
        ("Internal-app", "lower case"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(InvalidHandle) as caught:
        check_handle(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=70) | st.from_regex(r"[0-9a-z._-]{1,66}") | st.from_regex("internal-?.*"))
@example("internal-\n")
def test_the_rule_is_the_regular_expression_of_the_spec(text: str) -> None:
    fits = re.fullmatch("[0-9a-z._-]{1,64}", text) and not text.startswith("internal-")
    if fits:
        assert check_handle(text) == text
    else:
        with pytest.raises(InvalidHandle):
            check_handle(text)
