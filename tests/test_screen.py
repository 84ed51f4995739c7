"""How a followed log looks on a terminal, and in a file."""

import io

import pytest

from toolbelt.screen import TerminalOrFile

CLEAR = "\r\x1b[K"
WHEN = "2026-01-01T00:00:00.000Z"


class Stream(io.StringIO):
    """Standard output, or standard error: a terminal of 20 columns, or a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal
        monkeypatch.setattr(f"sys.{name}", self)  # by each test: pytest sets its own before it
        monkeypatch.setenv("COLUMNS", "20")

    def isatty(self) -> bool:
        return self._terminal


def test_on_a_terminal_progress_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Stream(monkeypatch, "stdout", terminal=True)
    screen = TerminalOrFile()
    screen.line("one", WHEN)
    screen.progress("10%")
    screen.progress("20%")
    screen.line("two", WHEN)
    screen.line("three", WHEN)
    assert terminal.getvalue() == f"one\n10%{CLEAR}20%{CLEAR}two\nthree\n"


def test_it_never_takes_more_than_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The carriage return goes back to the beginning of the last row only."""
    terminal = Stream(monkeypatch, "stdout", terminal=True)
    TerminalOrFile().progress("x" * 100)
    assert terminal.getvalue() == "x" * 19


def test_nothing_to_show_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Stream(monkeypatch, "stdout", terminal=True)
    screen = TerminalOrFile()
    screen.progress("")
    screen.line("one", WHEN)
    assert terminal.getvalue() == "one\n"


def test_what_is_not_of_the_log_does_not_stand_behind_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Stream(monkeypatch, "stdout", terminal=True)
    errors = Stream(monkeypatch, "stderr", terminal=True)
    screen = TerminalOrFile()
    screen.progress("10%")
    screen.warn("The connection was lost.")
    assert terminal.getvalue() == f"10%{CLEAR}"
    assert errors.getvalue() == "The connection was lost.\n"


def test_a_file_gets_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Stream(monkeypatch, "stdout", terminal=False)
    screen = TerminalOrFile()
    screen.progress("10%")
    screen.line("one", WHEN)
    screen.progress("20%")
    assert file.getvalue() == "one\n"


def test_times_are_shown_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Stream(monkeypatch, "stdout", terminal=False)
    screen = TerminalOrFile(timestamps=True)
    screen.line("one", WHEN)
    screen.line("INFO: queued.", "")
    assert file.getvalue() == f"{WHEN} one\nINFO: queued.\n"
