"""The .aptible.yml (SPEC 5.1)."""

import time
from textwrap import dedent

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enclave.aptible_yml import KEYS, AptibleYml, parse_aptible_yml
from enclave.errors import InvalidAptibleYml
from enclave.pushed_text import SIZE_LIMIT, first_unfit


def test_the_keys_are_those_of_the_spec() -> None:
    pairs = [
        f"after_{operation}_{outcome}"
        for operation in ("deploy", "restart", "configure", "scale")
        for outcome in ("success", "failure")
    ]
    assert list(KEYS) == ["before_release", *pairs]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", ()),
        ("\n\n", ()),
        ("# nothing\n", ()),
        ("---\n", ()),
        ("---\n# nothing\n...\n", ()),
        ("{}", ()),
        ("~", ()),
        ("\ufeff", ()),
        ("before_release: []", ()),
        ("before_release: rake db:migrate", ("rake db:migrate",)),
        ("before_release:\n  - a\n  - b c\n", ("a", "b c")),
        ("before_release:\n- a\n- b c\n", ("a", "b c")),
        ("---\nbefore_release:\n- a\n", ("a",)),
        ("%YAML 1.1\n---\nbefore_release: a\n...\n", ("a",)),
        ("before_release:\r\n- a\r\n- b\r\n", ("a", "b")),
        ("\ufeffbefore_release: a", ("a",)),
        ("before_deploy: [a]", ("a",)),
        ("before_deploy:\n  - a\n", ("a",)),
        ("{before_release: [a, b]}", ("a", "b")),
        ('{"before_release": ["a", "b"]}', ("a", "b")),
        ("? before_release\n: - a\n", ("a",)),
        ("before_release: [a, a]", ("a", "a")),
        # Whatever YAML calls a plain scalar is the text that stands there.
        (
            "before_release: [1, 0x10, 1e3, true, no, .inf, 2020-01-01, =]",
            ("1", "0x10", "1e3", "true", "no", ".inf", "2020-01-01", "="),
        ),
        ("before_release: ['null', \"~\", nil]", ("null", "~", "nil")),
        ("before_release: a # why", ("a",)),
        ("before_release: a#b", ("a#b",)),
        ("before_release: '[ -f x ] && y: z'", ("[ -f x ] && y: z",)),
        ('before_release: "a\\tb\\u00e9\\x21"', ("a\tbé!",)),
        ('before_release: "a\\L\\P"', ("a\u2028\u2029",)),
        ("before_release:\n  a\n  b\n", ("a b",)),
        ("before_release: |\n  a\n  b\n", ("a\nb\n",)),
        ("before_release:\n  - |-\n    a\n    b\n  - >\n    c\n    d\n", ("a\nb", "c d\n")),
        ("before_release: é 😀", ("é 😀",)),
        ("before_release: a\\", ("a\\",)),
        ("before_release: " + "x" * (SIZE_LIMIT - 16), ("x" * (SIZE_LIMIT - 16),)),
    ],
)
def test_commands_before_the_release(text: str, commands: tuple[str, ...]) -> None:
    config = parse_aptible_yml(text.encode())
    assert config == AptibleYml(before_release=commands)
    assert config.warnings == ()
    if len(text) < SIZE_LIMIT:
        assert parse_aptible_yml(config.render().encode()) == config


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_a_field_of_its_own(key: str) -> None:
    config = parse_aptible_yml(f"{key}: [a, b]".encode())
    assert {each: getattr(config, each) for each in KEYS if getattr(config, each)} == {
        key: ("a", "b")
    }


def test_a_whole_file() -> None:
    text = """\
        # What Aptible's documentation shows
        before_release:
          - bundle exec rake db:migrate
          - 'echo "done: all"'
        after_deploy_success: ./announce
        after_deploy_failure:
          - ./complain
        after_scale_success: []
        """
    config = parse_aptible_yml(dedent(text).encode())
    assert config == AptibleYml(
        before_release=("bundle exec rake db:migrate", 'echo "done: all"'),
        after_deploy_success=("./announce",),
        after_deploy_failure=("./complain",),
    )
    assert config.after("deploy", succeeded=True) == ("./announce",)
    assert config.after("deploy", succeeded=False) == ("./complain",)
    assert config.after("scale", succeeded=True) == ()
    assert config.after("rebuild", succeeded=True) == ()
    assert parse_aptible_yml(config.render().encode()) == config


def test_what_is_printed_is_for_people_to_read() -> None:
    long = "rake é " + "x " * 200 + "y"
    config = AptibleYml(
        before_release=(long, "c"),
        after_deploy_success=("a: b",),
        after_deploy_failure=("d",),
    )
    assert config.render() == (
        f"before_release:\n- {long}\n- c\n"
        "after_deploy_success:\n- 'a: b'\nafter_deploy_failure:\n- d\n"
    )


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("x: 1", [".aptible.yml:1: the key 'x' means nothing and is ignored"]),
        ("x:\ny: ~\n", ["1: the key 'x'", "2: the key 'y'"]),
        ("before_releases: a", ["did you mean before_release?"]),
        ("before-deploy: a", ["did you mean before_deploy?"]),
        ("After_Deploy_Success: a", ["'After_Deploy_Success'"]),
        ("#\nafter_deploy_sucess: b", ["2: ", "did you mean after_deploy_success?"]),
        ("after_rebuild_success: a", ["'after_rebuild_success'"]),
        ("services: {web: [{a: b}, c], db: {e: {}}}\nbefore_release: a", ["'services'"]),
        ("x: {a: 1, a: 2}", ["'x'"]),
        ("'a\\nb': 1", [r"'a\\nb'"]),
        ('"a\\nb": 1', [r"'a\nb'"]),
        ("k" * 300 + ": 1", ["k…'"]),
        ("x: " + "[" * 19 + "]" * 19, ["'x'"]),
        ("<<: {}", ["'<<'"]),
        ("true: a", ["'true'"]),
    ],
)  # fmt: skip
def test_unknown_keys_are_warned_about(text: str, warnings: list[str]) -> None:
    found = parse_aptible_yml(text.encode()).warnings
    assert all(words in "\n".join(found) for words in warnings)
    assert len(found) == max(1, sum("the key" in words for words in warnings))
    assert all(line.startswith(".aptible.yml:") and line.isprintable() for line in found)


def test_warnings_stop_at_twenty() -> None:
    found = parse_aptible_yml(b"".join(b"k%d: x\n" % n for n in range(25))).warnings
    assert len(found) == 21
    assert found[-1] == ".aptible.yml: 5 more unknown keys are ignored"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # The wrong kind of value
        (b"before_release", [("not a mapping", 1, 1)]),
        (b"- before_release: a", [("not a mapping", 1, 1)]),
        (b"[]", [("not a mapping", 1, 1)]),
        (b"''", [("not a mapping", 1, 1)]),
        (b"before_release: {run: a}", [("must be a list", 1, 17)]),
        (b"before_release:\n  run: a\n", [("write '- COMMAND'", 2, 3)]),
        (b"before_release:\n  - run: a\n  - b\n", [("this is a mapping", 2, 5)]),
        (b"before_release:\n  - [ -f x ]\n", [("this is a list", 2, 5)]),
        (b"before_release: [[a], {b: c}]", [("a list", 1, 18), ("a mapping", 1, 23)]),
        (b"before_release:", [("write one, or []", 1, 16)]),
        (b"before_release:\n# - a\n", [("empty command", 1, 16)]),
        (b"before_release: ~", [("empty command", 1, 17)]),
        (b"before_release: null", [("empty command", 1, 17)]),
        (b"before_release: ''", [("empty command", 1, 17)]),
        (b'before_release: " \\n"', [("empty command", 1, 17)]),
        (b"before_release:\n-\n- ''\n- Null", [("empty", 2, 2), ("empty", 3, 3), ("empty", 4, 3)]),
        # Keys
        (b"before_release: a\nbefore_release: b", [("already on line 1", 2, 1)]),
        (b"before_deploy: a\n\nbefore_release: b", [("mean the same", 3, 1)]),
        (b"before_release: a\nbefore_deploy: b", [("before_release (line 1)", 2, 1)]),
        (b"x: a\nx: b\n'x': c", [("already on line 1", 2, 1), ("line 1", 3, 1)]),
        (b"{[a]: b}", [("must be a name", 1, 2)]),
        (b"? {a: b}\n: c\nbefore_release: ''", [("must be a name", 1, 3), ("empty", 3, 17)]),
        (b"~: a", [("must be a name", 1, 1)]),
        (b"null: a", [("must be a name", 1, 1)]),
        # What YAML can do and this file must not
        (b"before_release: &a b", [("anchor", 1, 17)]),
        (b"x: &a [b]\nbefore_release: *a", [("anchor", 1, 4), ("alias", 2, 17)]),
        (b"before_release: [*a, *b]", [("alias", 1, 18), ("alias", 1, 22)]),
        (b"*a : b", [("alias", 1, 1)]),
        (b"*a", [("alias", 1, 1)]),
        (b"x: {y: [*a]}", [("alias", 1, 9)]),
        (b"&a {}", [("anchor", 1, 1)]),
        (b"before_release: !!str a", [("tag", 1, 17)]),
        (b"before_release: !a b", [("tag", 1, 17)]),
        (b"before_release: ! a", [("tag", 1, 17)]),
        (b"before_release: !!python/object/apply:os.system [a]", [("tag", 1, 17)]),
        (b"!!map {}", [("tag", 1, 1)]),
        (b"x: !!binary aGk=", [("tag", 1, 4)]),
        (b"a: 1\n---\nb: 2", [("second document", 2, 1)]),
        (b"---\n---\n", [("second document", 2, 1)]),
        (b"x: " + b"[" * 20 + b"]" * 20, [("20 deep", 1, 23)]),
        (b"before_release: " + b"[" * 5000, [("a list", 1, 18), ("20 deep", 1, 36)]),
        # No YAML at all
        (b"before_release: [a", [("not closed", 1, 17)]),
        (b"before_release: [a}", [("not YAML", 1, 19)]),
        (b"x: 1\nbefore_release: 'a\n", [("closing quote", 2, 17)]),
        (b"before_release:\n\t- a", [("indent with spaces", 2, 1)]),
        (b"before_release: a: b", [("in quotes", 1, 18)]),
        (b"before_release:\n  - a\n - b", [("not YAML", 3, 2)]),
        (b"before_release: [ -f x ] && a", [("in quotes", 1, 27)]),
        (b"before_release: @a", [("in quotes", 1, 17)]),
        (b"before_release: %a", [("in quotes", 1, 17)]),
        (b'before_release: "\\q"', [("unknown escape", 1, 19)]),
        (b'before_release: "\\UFFFFFFFF"', [("out of range", 1, 20)]),
        (b'before_release: "\\U00110000"', [("out of range", 1, 20)]),
        (b"%YAML " + b"1" * 5000 + b".1\n--- a", [("out of range", 1, 7)]),
        (b"%YAML 2.0\n---\n", [("incompatible", 1, 1)]),
        (b"%YAML 1.1\n", [("expected '<document start>'", 2, 1)]),
        (b"!x!y z", [("undefined tag", 1, 1)]),
        (
            b"<<<<<<< HEAD\nbefore_release: a\n=======\nbefore_release: b\n>>>>>>> topic\n",
            [("merge", 1, 1), ("merge", 3, 1), ("line 2", 4, 1), ("(>>>>>>>)", 5, 1)],
        ),
        # No text at all
        (b"before_release: a\0", [("U+0000", 1, 18)]),
        (b"a: 1\nbefore_release: \x1b", [("U+001B", 2, 17)]),
        (b"a: \xff", [("0xff is not UTF-8", 1, 4)]),
        (b"a: 1\rb: 2", [("carriage return", 1, 5)]),
        ("a: 1".encode("utf-16"), [("UTF-16", None, None)]),
        (b"#" * (SIZE_LIMIT + 1), [("64 KiB", None, None)]),
        (b'before_release: "\\0"', [("U+0000", 1, 17)]),
        (b'before_release: ["a\\e", "\\udc80"]', [("U+001B", 1, 18), ("U+DC80", 1, 25)]),
        # Lines are those of git: U+2028 ends none, though it does for PyYAML.
        ("x: '\u2028'\nbefore_release: ~".encode(), [("empty", 2, 17)]),
        ("\ufeffé: 1\n\n  é: [".encode(), [("not YAML", 3, 4)]),
        # All at once
        (
            b"before_release: ~\nx: !y z\nafter_scale_success: {}\nbefore_release: [[], '']\n*a",
            [
                ("empty", 1, 17),
                ("tag", 2, 4),
                ("must be a list", 3, 22),
                ("already", 4, 1),
                ("not YAML", 5, 3),
            ],
        ),
    ],
)  # fmt: skip
def test_invalid(data: bytes, expected: list[tuple[str, int | None, int | None]]) -> None:
    with pytest.raises(InvalidAptibleYml) as caught:
        parse_aptible_yml(data)
    problems = caught.value.problems
    assert len(problems) == len(expected), caught.value
    for problem, (says, line, column) in zip(problems, expected, strict=True):
        assert says in problem.message
        assert ": " in problem.message  # the cure
        assert (problem.line, problem.column) == (line, column), problem
    assert all(line.startswith(".aptible.yml:") for line in caught.value.lines())


HOSTILE = {
    "flow lists": b"[",
    "flow lists under a key": b"before_release: [\n" + b"[" * SIZE_LIMIT,
    "flow mappings": b"{",
    "keys in flow lists": b"[? ",
    "items before lists": b"[a,",
    "block lists": b"- ",
    "question marks": b"? ",
    "mappings": b"{a: ",
    "anchors": b"&a [",
    "staircase": b"".join(b" " * n + b"a:\n" for n in range(361)),
    "closed lists": b"[" * (SIZE_LIMIT // 2) + b"]" * (SIZE_LIMIT // 2),
    "shallow lists": b"x: [" + (b"[" * 15 + b"]" * 15 + b",") * 2100 + b"]",
    "repeated keys": b"a: b\n",
    "close keys": b"".join(b"after_deploy_succes%04d: x\n" % n for n in range(2300)),
    "documents": b"---\n",
    "aliases": b"before_release: [" + b"*a," * 21_000 + b"]",
    "quotes": b"'",
    "escapes": b'"' + b"\\n" * SIZE_LIMIT,
    "control characters": b"\x01\n",
    "blank lines in a scalar": b"x: a\n" + b"\n" * (SIZE_LIMIT - 10) + b"  b",
    "directives": b"%a b\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_read_in_seconds(data: bytes) -> None:
    full = (data * (SIZE_LIMIT // len(data) + 1))[:SIZE_LIMIT]
    began = time.process_time()
    try:
        parse_aptible_yml(full)
    except InvalidAptibleYml as error:
        assert error.problems
    # PyYAML alone takes 100 s for the first; the slowest here takes 0.6 s.
    assert time.process_time() - began < 5


COMMAND = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from(" \n\t:#-[]{}&*!|>'\"%@`\\~\u2028\ufeff"),
    min_size=1,
    max_size=12,
).filter(str.strip)  # fmt: skip
COMMANDS = st.lists(COMMAND, max_size=3).map(tuple)
CONFIG = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, COMMANDS)).map(
    lambda commands: AptibleYml(**commands)
)


@settings(max_examples=200)
@given(CONFIG)
@example(AptibleYml(("\ufeff", "a\u2028 b", "a\n b", " a ", "null", "1", "a" * 2000 + " b")))
@example(AptibleYml(("\U0001f600", "\x7e", "\xa0", "a\n\n", "\n a", "--- a", "...", "\t")))
@example(AptibleYml())
def test_what_is_printed_is_parsed_back(config: AptibleYml) -> None:
    if all(command.strip() for key in KEYS for command in getattr(config, key)):
        assert parse_aptible_yml(config.render().encode()) == config


QUOTED = COMMAND.map(lambda text: "'" + text.replace("'", "''") + "'").filter(
    lambda text: "\n" not in text and "\u2028" not in text and "\u2029" not in text
)
PLAIN = st.sampled_from(["a", "rake db:migrate", "1", "true", "x #y"])
VALUE = st.one_of(
    PLAIN,
    QUOTED,
    st.lists(PLAIN, max_size=3).map(lambda items: "".join(f"\n  - {item}" for item in items)),
    st.lists(PLAIN | QUOTED, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.sampled_from(["", "~", "''", "{}", "&a b", "*a", "!!str a", "[[a]]", "[", "|\n  a", "-"]),
)
LINE = st.builds(
    "{}: {}".format, st.sampled_from([*KEYS, "before_deploy", "x", "'x'", "~", "? "]), VALUE
)
FILE = st.lists(LINE | st.sampled_from(["# why", "", "---", "\t"]), max_size=5).map("\n".join)
PIECES = st.sampled_from(
    [*"[]{},:?-#&*!|>'\"%@`\\ \n\ta9~", "\\U", "FFFFFFFF", "%YAML ", ": ", "\0"]
)


@settings(max_examples=400)
@given(st.binary(max_size=80) | (FILE | st.lists(PIECES, max_size=30).map("".join)).map(str.encode))
@example(b'"\\UFFFFFFFF"')
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        config = parse_aptible_yml(data)
    except InvalidAptibleYml as error:
        assert error.problems
        assert list(error.problems) == sorted(
            error.problems, key=lambda problem: (problem.line or 0, problem.column or 0)
        )
        for problem in error.problems:
            assert problem.message.isprintable()
            assert problem.line is None or 1 <= problem.line <= data.count(b"\n") + 1
        return
    assert parse_aptible_yml(config.render().encode()) == config
    for key in KEYS:
        for command in getattr(config, key):
            assert command.strip()
            assert first_unfit(command) is None
