"""What Procfile and .aptible.yml share: a little plain UTF-8 text."""

import re
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from enclave.errors import Problem
from enclave.pushed_text import SIZE_LIMIT, PushedText, first_unfit


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"a\r\nb\n", "a\r\nb\n"),
        (b"\xef\xbb\xbfa", "a"),
        (b"\xef\xbb\xbf\xef\xbb\xbfa", "\ufeffa"),
        ("tab\there, é, \u2028, 😀".encode(), "tab\there, é, \u2028, 😀"),
        (b"a" * SIZE_LIMIT, "a" * SIZE_LIMIT),
        (b" =======\n========\n<<<<<<\n=======a", " =======\n========\n<<<<<<\n=======a"),
    ],
)
def test_text_is_decoded(data: bytes, text: str) -> None:
    source = PushedText.read(data)
    assert (source.text, source.problems) == (text, ())


@pytest.mark.parametrize(
    ("data", "says", "line", "column"),
    [
        (b"a" * (SIZE_LIMIT + 1), "larger than 64 KiB", None, None),
        ("web: x".encode("utf-16"), "UTF-16", None, None),
        (b"\xfe\xff\0w", "UTF-16", None, None),
        (b"a\n\xef\xbb\xbfb\0", "U+0000", 2, 3),
        (b"\xef\xbb\xbfab\xff", "0xff is not UTF-8", 1, 3),
        (b"a\r\n\xc3", "0xc3", 2, 1),
        (b"\xed\xa0\x80", "0xed", 1, 1),  # a surrogate, encoded
        (b"\xc0\x80", "0xc0", 1, 1),  # a NUL, encoded too long
        ("é\x1b[31m".encode(), "U+001B", 1, 2),
        ("a\x85b".encode(), "U+0085", 1, 2),
        (b"a\x7f", "U+007F", 1, 2),
        (b"a\rb", "carriage return", 1, 2),
        (b"a\r\r\n", "carriage return", 1, 2),
        (b"a\r", "carriage return", 1, 2),
        ("\uffff".encode(), "U+FFFF", 1, 1),
        (b"<<<<<<< HEAD", "merge conflict was left here (<<<<<<<)", 1, 1),
        (b"a\n=======\nb", "(=======)", 2, 1),
        (b"a\r\n=======\r\n", "(=======)", 2, 1),
        (b"a\n||||||| 1a2b3c", "(|||||||)", 2, 1),
        (b">>>>>>> a\0", "(>>>>>>>)", 1, 1),
    ],
)
def test_what_is_no_text_is_told(
    data: bytes, says: str, line: int | None, column: int | None
) -> None:
    (problem,) = PushedText.read(data).problems
    assert says in problem.message
    assert (problem.line, problem.column) == (line, column)


def test_one_problem_a_line() -> None:
    places = [(p.line, p.column) for p in PushedText.read(b"\0\0\n\nx\xff\xff\n\r").problems]
    assert places == [(1, 1), (3, 2), (4, 1)]


def test_the_yaml_reader_refuses_nothing_that_is_let_through() -> None:
    refused = yaml.reader.Reader.NON_PRINTABLE.findall("".join(map(chr, range(sys.maxunicode))))
    assert len(refused) > 2000
    assert [char for char in refused if first_unfit(char) is None] == []


@given(st.binary(max_size=60) | st.text().map(str.encode))
def test_reading_never_raises_and_keeps_places(data: bytes) -> None:
    source = PushedText.read(data)
    assert first_unfit(source.text) is None
    lines = source.text.split("\n")
    for index, char in enumerate(source.text):
        line, column = source.place(index)
        assert (lines[line - 1] + "\n")[column - 1] == char
    for problem in source.problems:
        assert isinstance(problem, Problem)
        if problem.line is not None and problem.column is not None:
            assert lines[problem.line - 1][problem.column - 1] in "\N{REPLACEMENT CHARACTER}#"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_ordinary_text_has_no_problems(text: str) -> None:
    if not re.search("[\ufffe\uffff]", text):
        assert PushedText.read(text.encode()).problems == ()
