"""What is left of text that was made for a terminal (ECMA-48)."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.plain_text import LONGEST_ESCAPE, last_drawn, plain_text

ESC, BEL, ST = "\x1b", "\x07", "\x1b\\"
LINK = "https://example.com/a?b=c"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
PIECES = st.sampled_from(
    [ESC, f"{ESC}[", f"{ESC}]", f"{ESC}P", f"{ESC}(", BEL, ST, "0;1", "31m", "B", " ", "\x9b", "é"]
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("a\tb é 😀 \u05d0", "a\tb é 😀 \u05d0"),
        ("a\nb", "a\nb"),
        # Colours, also those of 256 and of 16 million.
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;196mred\x1b[m", "red"),
        ("\x1b[38:2::255:0:0mred\x1b[39m", "red"),
        # Titles and links, ended by BEL or by ST.
        (f"{ESC}]0;a title{BEL}text", "text"),
        (f"{ESC}]2;a title{ST}text", "text"),
        (f"{ESC}]8;;{LINK}{BEL}a link{ESC}]8;;{BEL}", "a link"),
        (f"{ESC}]8;id=1;{LINK}{ST}a link{ESC}]8;;{ST}", "a link"),
        (f"{ESC}Pq#0;2;0;0;0{ST}sixel", "sixel"),
        (f"{ESC}_application{ST}{ESC}^private{ST}{ESC}Xstart{ST}strings", "strings"),
        # Movements of the cursor, erasing, modes, a report that is asked for.
        ("\x1b[2J\x1b[1;1Htop\x1b[K\x1b[10A\x1b[?25l\x1b[?2004h\x1b[6n", "top"),
        ("a\x1b[ qb\x1b[!pc\x1b[>0cd", "abcd"),
        ("\x1b7saved\x1b8\x1bM\x1bD\x1bE\x1bc", "saved"),
        # Character sets.
        ("\x1b(0lqqk\x1b(B\x1b)A\x1b%G", "lqqk"),
        ("a\x0e\x0fb", "ab"),
        # C1, one character each; what stood behind them stays, and obeys nothing.
        ("a\x9b31mb\x85c\x9d0;t\x9c", "a31mbc0;t"),
        # Changes of direction, separators, byte order marks.
        ("a\u202eb\u202cc\u2066d\u2069", "abcd"),
        ("a\u2028b\u2029c", "abc"),
        ("\ufeffa\ufeff", "a"),
        # What is incomplete.
        (f"{ESC}]0;no end", "0;no end"),
        (f"{ESC}]0;no end{ESC}[1mbold", "0;no endbold"),
        (f"{ESC}]8;;{'x' * 300}{BEL}", f"8;;{'x' * 300}"),
        ("a\x1b", "a"),
        ("a\x1b\x1b[31mb", "ab"),
        ("a\x1b[", "a"),
        ("a\x1b[31", "a31"),
        ("a\x1bé", "aé"),
        ("a\x00b\x08c\x7fd", "abcd"),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert plain_text(text) == left


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_no_character_that_a_terminal_obeys_is_ever_left(text: str) -> None:
    left = plain_text(text)
    assert not CONTROL.search(left)
    assert not [char for char in left if unicodedata.category(char) == "Cc" and char not in "\t\n"]
    assert plain_text(left) == left


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_text_without_any_is_left_as_it_is(text: str) -> None:
    assert plain_text(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        ESC,
        f"{ESC}]",
        f"{ESC}[",
        f"{ESC}P",
        f"{ESC}[0",
        f"{ESC} ",
        f"{ESC}]{'x' * 249}",
        "\x9b",
        "[",
        "\r",
    ],
)
@pytest.mark.parametrize("before", ["", f"{ESC}[", f"{ESC}]", f"{ESC} "])
def test_a_megabyte_of_what_looks_like_a_sequence_takes_no_time(unit: str, before: str) -> None:
    text = before + unit * ((1 << 20) // len(unit))
    began = time.process_time()
    left = plain_text(text)
    last_drawn(text)
    assert time.process_time() - began < 2
    assert not CONTROL.search(left)


@pytest.mark.parametrize("inside", ["0", ";", " ", "0 "])
def test_one_sequence_of_a_megabyte_takes_no_time(inside: str) -> None:
    began = time.process_time()
    plain_text(f"{ESC}[" + inside * ((1 << 20) // len(inside)) + "é")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("end", [BEL, ST])
def test_the_longest_string_that_is_taken_out_is_within_the_limit(end: str) -> None:
    longest = f"{ESC}]{'x' * 250}{end}"
    assert plain_text(longest) == ""
    assert len(longest) <= LONGEST_ESCAPE


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("", ""),
        ("a", "a"),
        ("a\r", "a"),
        ("a\rb", "b"),
        ("a\rb\r", "b"),
        ("a\r\r", "a"),
        ("\r", ""),
    ],
)
def test_of_a_line_that_was_drawn_again_the_last_counts(line: str, shown: str) -> None:
    assert last_drawn(line) == shown
