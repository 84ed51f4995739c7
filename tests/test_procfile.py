"""Procfiles (SPEC 4.3)."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enclave.errors import InvalidProcfile
from enclave.procfile import ProcessType, Procfile, parse_procfile

LONGEST = "a" * 63


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"web: run", [("web", "run", 1)]),
        (b"web: run\n", [("web", "run", 1)]),
        (b"web: a\nworker: b\n", [("web", "a", 1), ("worker", "b", 2)]),
        (b"worker: b\nweb: a\n", [("worker", "b", 1), ("web", "a", 2)]),
        (b"web: a\r\nworker: b\r\n", [("web", "a", 1), ("worker", "b", 2)]),
        (b"web: a\r\nworker: b\n", [("web", "a", 1), ("worker", "b", 2)]),
        (b"\xef\xbb\xbfweb: a\n", [("web", "a", 1)]),
        (b"\xef\xbb\xbf# why\r\n\r\nweb: a", [("web", "a", 3)]),
        (b"\n \n\t\n# web: no\n#\nweb: a\n\n", [("web", "a", 6)]),
        (b"web:run", [("web", "run", 1)]),
        (b"web : run", [("web", "run", 1)]),
        (b"web   :   run", [("web", "run", 1)]),
        (b"web\t:\trun", [("web", "run", 1)]),
        (b"web: run  \n", [("web", "run  ", 1)]),
        (b"web: run\t\r\n", [("web", "run\t", 1)]),
        (b"web: a  b\tc", [("web", "a  b\tc", 1)]),
        (b"web: run # not a comment", [("web", "run # not a comment", 1)]),
        (b"web: # not a comment", [("web", "# not a comment", 1)]),
        (b"web: a: b :c", [("web", "a: b :c", 1)]),
        (b"web: :", [("web", ":", 1)]),
        (b"web: A=$B exec \"c d\" 'e' \\", [("web", "A=$B exec \"c d\" 'e' \\", 1)]),
        (b"web: <<<<<<< a", [("web", "<<<<<<< a", 1)]),
        (b"#<<<<<<< a\nweb: a", [("web", "a", 2)]),
        ("web: é 😀".encode(), [("web", "é 😀", 1)]),
        ("web: a\u2028worker: b\u2029c".encode(), [("web", "a\u2028worker: b\u2029c", 1)]),
        ("web: \u00a0a\u3000".encode(), [("web", "\u00a0a\u3000", 1)]),
        (b"0: a", [("0", "a", 1)]),
        (b"a-b_c: a", [("a-b_c", "a", 1)]),
        (b"a-: a\na_: b", [("a-", "a", 1), ("a_", "b", 2)]),
        (b"Web: a", [("Web", "a", 1)]),
        (f"{LONGEST}: a".encode(), [(LONGEST, "a", 1)]),
        (b"web: " + b"x" * (65536 - 5), [("web", "x" * (65536 - 5), 1)]),
    ],
)
def test_valid(data: bytes, expected: list[tuple[str, str, int]]) -> None:
    procfile = parse_procfile(data)
    assert [(p.name, p.command, p.line) for p in procfile.processes] == expected
    if len(data) < 65000:
        assert parse_procfile(procfile.render().encode()) == procfile


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [("no process type", None, None)]),
        (b"\n\n", [("'web: COMMAND'", None, None)]),
        (b"# web: a\n  \n#", [("no process type", None, None)]),
        (b"\xef\xbb\xbf", [("no process type", None, None)]),
        (b"web", [("no colon", 1, 1)]),
        (b"web: a\nworker b\n", [("no colon", 2, 1)]),
        (b"web: a \\\n  --flag\n", [("one line", 2, 1)]),
        (b" web: a", [("begins with a blank", 1, 1)]),
        (b"\tweb: a", [("begins with a blank", 1, 1)]),
        (b"  # why", [("begins with a blank", 1, 1)]),
        (b"web:", [("web has no command", 1, 5)]),
        (b"web: \t \n", [("no command", 1, 8)]),
        (b"web :\r\n", [("no command", 1, 6)]),
        (b": run", [("no process type before the colon", 1, 1)]),
        (b"my app: a", [("cannot contain ' '", 1, 3)]),
        (b"web.1: a", [("cannot contain '.'", 1, 4)]),
        (b"- web: a", [("cannot contain ' '", 1, 2)]),
        (b"-web: a", [("begin with '-'", 1, 1)]),
        (b"_web: a", [("begin with '_'", 1, 1)]),
        ("wéb: a".encode(), [("cannot contain 'é'", 1, 2)]),
        ("web\u00a0: a".encode(), [(r"cannot contain '\xa0'", 1, 4)]),
        ("w\u0661: a".encode(), [("cannot contain", 1, 2)]),
        (f"{LONGEST}b: a".encode(), [("longer than 63", 1, 1)]),
        (b"web: a\nweb: b\n", [("already on line 1: keep", 2, 1)]),
        (b"Web: a\n\nwEB: b\n", [("line 1, as Web", 3, 1)]),
        (b"a: 1\na: 2\na: 3", [("line 1", 2, 1), ("line 1", 3, 1)]),
        (
            b"<<<<<<< HEAD\nweb: a\n=======\nweb: b\n>>>>>>> topic\n",
            [
                ("(<<<<<<<)", 1, 1),
                ("merge conflict", 3, 1),
                ("already on line 2", 4, 1),
                ("(>>>>>>>)", 5, 1),
            ],
        ),
        (b"||||||| base\r\n=======\r\n", [("(|||||||)", 1, 1), ("(=======)", 2, 1)]),
        (b"========: a", [("cannot contain '='", 1, 1)]),
        (b"web: a\0b", [("U+0000", 1, 7)]),
        (b"web: a\x1b[1m", [("U+001B", 1, 7)]),
        (b"web: a\x0bworker: b\x0c", [("U+000B", 1, 7)]),
        ("web: a\x85b".encode(), [("U+0085", 1, 7)]),
        (b"web: a\rworker: b\r", [("carriage return", 1, 7)]),
        (b"web: a\nw: \xffb", [("0xff is not UTF-8", 2, 4)]),
        (b"web: \xc3\xa9\xe9", [("0xe9", 1, 7)]),
        ("web: run".encode("utf-16"), [("UTF-16", None, None)]),
        (b"web: " + b"x" * (65537 - 5), [("larger than 64 KiB", None, None)]),
        (b"\n" * 65537, [("larger than 64 KiB", None, None)]),
        (
            b"a\nweb: a\0\n: b\nc:\nWEB: d\n\xff: e\n=======",
            [
                ("no colon", 1, 1),
                ("U+0000", 2, 7),
                ("before the colon", 3, 1),
                ("c has no command", 4, 3),
                ("0xff", 6, 1),
                ("merge conflict", 7, 1),
            ],
        ),
    ],
)
def test_invalid(data: bytes, expected: list[tuple[str, int | None, int | None]]) -> None:
    with pytest.raises(InvalidProcfile) as caught:
        parse_procfile(data)
    problems = caught.value.problems
    assert [(p.line, p.column) for p in problems] == [(line, col) for _, line, col in expected]
    for problem, (says, _, _) in zip(problems, expected, strict=True):
        assert says in problem.message
        assert ": " in problem.message  # the cure
    assert all(line.startswith("Procfile:") for line in caught.value.lines())


def test_no_command_is_quoted_in_an_error() -> None:
    with pytest.raises(InvalidProcfile) as caught:
        parse_procfile(b" web: hunter2\nhunter2\nweb: x hunter2\nweb: y hunter2\nw!: hunter2")
    assert "hunter2" not in str(caught.value)


def test_lookup() -> None:
    procfile = parse_procfile(b"web: a\nworker: b\n")
    assert procfile.names == ("web", "worker")
    assert procfile.get("worker") == ProcessType("worker", "b")
    assert procfile.get("Worker") is None


def test_where_a_line_stands_makes_no_difference_but_the_order_does() -> None:
    assert parse_procfile(b"#\nweb: a\n\nb: c") == parse_procfile(b"web : a\nb:c\n")
    assert parse_procfile(b"a: 1\nb: 2") != parse_procfile(b"b: 2\na: 1")


TYPE = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
COMMAND = st.builds(
    "{}{}{}".format, st.sampled_from("a#:=é"), TEXT, st.sampled_from(["", " ", "\t", "#"])
)
PROCESSES = st.lists(
    st.tuples(TYPE, COMMAND), min_size=1, max_size=6, unique_by=lambda process: process[0].lower()
)
SPACING = st.sampled_from(["", " ", "\t", "  "])
FILLER = st.lists(st.sampled_from(["", "  ", "#", "# web: no", "#<<<<<<<"]), max_size=2)


@settings(max_examples=150)
@given(st.data(), PROCESSES, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
def test_what_the_grammar_makes_is_parsed_and_printed_back(
    data: st.DataObject, processes: list[tuple[str, str]], end: str, bom: str
) -> None:
    lines: list[str] = []
    expected: list[ProcessType] = []
    for name, command in processes:
        lines += data.draw(FILLER)
        lines.append(f"{name}{data.draw(SPACING)}:{data.draw(SPACING)}{command}")
        expected.append(ProcessType(name, command, len(lines)))
    procfile = parse_procfile((bom + end.join(lines)).encode())
    assert procfile == Procfile(tuple(expected))
    assert [p.line for p in procfile.processes] == [p.line for p in expected]
    assert parse_procfile(procfile.render().encode()) == procfile


PIECES = [b"web", b"WEB", b":", b" ", b"\n", b"\r\n", b"\r", b"#", b"\0", b"\xff", b"<<<<<<<"]


@settings(max_examples=300)
@given(st.binary(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join))
@example("web: a\u2028b".encode())
def test_any_bytes_are_parsed_or_refused_line_by_line(data: bytes) -> None:
    try:
        procfile = parse_procfile(data)
    except InvalidProcfile as error:
        assert error.problems
        assert len(set(error.problems)) == len(error.problems)
        lines = data.split(b"\n")
        for problem in error.problems:
            if problem.line is not None:
                assert lines[problem.line - 1].strip(b" \t")
            assert problem.message.isprintable()
        return
    assert procfile.processes
    assert parse_procfile(procfile.render().encode()) == procfile
    for process in procfile.processes:
        assert re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,62}", process.name)
        assert process.line is not None
        line = data.decode("utf-8-sig").split("\n")[process.line - 1]
        assert line.removesuffix("\r").endswith(process.command)
