"""No line of one stream is cut by the other, and nothing is lost."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.runtime import unmixed_lines
from worker.runtime.unmixed_lines import MOST_HELD, UnmixedLines


def put_together(chunks: list[tuple[int, bytes]]) -> bytes:
    lines = UnmixedLines()
    return b"".join(lines.add(*chunk) for chunk in chunks) + lines.rest()


texts = st.lists(st.text("ab", max_size=9), max_size=9).map(lambda lines: "\n".join(lines).encode())


@given(texts, texts, st.randoms(use_true_random=False))
def test_every_line_is_whole(out: bytes, err: bytes, random: Random) -> None:
    left, chunks = {1: out, 2: err.upper()}, []
    while any(left.values()):
        stream = random.choice([number for number, text in left.items() if text])
        size = random.randint(1, 5)
        chunks.append((stream, left[stream][:size]))
        left[stream] = left[stream][size:]

    shown = [line for line in put_together(chunks).split(b"\n") if line]

    assert [line for line in shown if line.islower()] == [each for each in out.split(b"\n") if each]
    assert [each for each in shown if each.isupper()] == [
        each for each in err.upper().split(b"\n") if each
    ]


@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        ([(1, b"SEC"), (2, b"oops\n"), (1, b"RET\n")], b"oops\nSECRET\n"),
        ([(1, b"SEC"), (2, b"oo"), (1, b"RET"), (2, b"ps")], b"SECRET\noops"),
        ([(1, b"a\r"), (2, b"oops\n"), (1, b"\nb\r\n")], b"oops\na\r\nb\r\n"),
        ([(1, b"\r10%"), (2, b"oops\n"), (1, b"\r20%\n")], b"\roops\n10%\r20%\n"),
        ([(1, b"10%\r"), (1, b"20%\r"), (2, b"oops\n")], b"10%\roops\n20%\r"),
    ],
)
def test_in_which_order(chunks: list[tuple[int, bytes]], shown: bytes) -> None:
    assert put_together(chunks) == shown


def test_of_one_stream_nothing_changes_but_the_moment() -> None:
    lines = UnmixedLines()
    shown = [lines.add(1, chunk) for chunk in (b"a", b"b\nc", b"\n", b"\n\n", b"d")]
    assert [*shown, lines.rest()] == [b"", b"ab\n", b"c\n", b"\n\n", b"", b"d"]


def test_a_line_without_end_is_shown_and_the_other_stream_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unmixed_lines, "MOST_HELD", 4)
    lines = UnmixedLines()
    shown = [lines.add(1, b"abc"), lines.add(1, b"de"), lines.add(2, b"x\ny"), lines.add(1, b"f")]
    assert shown == [b"", b"abcde", b"", b"f"]
    assert lines.add(1, b"g\nh") == b"g\nx\n"
    assert (lines.add(1, b"\n"), lines.add(2, b"\n")) == (b"h\n", b"y\n")
    assert lines.add(1, b"abcde") == b"abcde"
    assert lines.add(2, b"x\ny\nz") == b"x\ny\nz"  # more than is held: shown all the same
    assert lines.add(2, b"w") == b""
    assert lines.rest() == b"\nw"


def test_what_is_held_is_bounded() -> None:
    lines = UnmixedLines()
    for number in range(3 * MOST_HELD // 1000):
        lines.add(number % 2 + 1, b"x" * 1000)
    assert len(lines.rest()) <= 2 * MOST_HELD
