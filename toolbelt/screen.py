"""Shows a followed log. Progress lines replace each other on a terminal; a file gets none."""

from __future__ import annotations

import shutil
import sys

import click

_CLEAR = "\r\x1b[K"


def echo(text: str) -> None:
    """Write a result to standard output; nothing, not even a line, if it is empty."""
    if text:
        click.echo(text)


def warn(text: str) -> None:
    """Tell the person something that is not a result."""
    click.echo(text, err=True)


class TerminalOrFile:
    """Standard output for lines and progress, standard error for what is not of the log."""

    def __init__(self, *, timestamps: bool = False) -> None:
        self._timestamps = timestamps
        self._draws = sys.stdout.isatty()
        self._drawn = False

    def line(self, text: str, time: str) -> None:
        """Show a line of the log."""
        self._clear()
        click.echo(f"{time} {text}" if self._timestamps and time else text)

    def progress(self, text: str) -> None:
        """Draw a line that the next one replaces, no longer than the terminal is wide."""
        if self._draws and text:
            self._clear()
            click.echo(text[: shutil.get_terminal_size().columns - 1], nl=False)
            self._drawn = True

    def warn(self, text: str) -> None:
        """Say something that is not of the log."""
        self._clear()
        warn(text)

    def _clear(self) -> None:
        if self._drawn:
            click.echo(_CLEAR, nl=False)
            self._drawn = False
