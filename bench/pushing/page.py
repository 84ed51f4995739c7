"""The page of figures: each measurement writes a section of its own and leaves the others alone."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

Each section is written by `scripts/bench NAME --write`, with the servers and their reference in one
run, on loopback.
"""
_NEXT_SECTION = re.compile(r"(?m)^(?=## )")


def write_section(title: str, body: str, *, by: str, page: Path = PAGE) -> None:
    """Replace the section ``## title`` by ``body``, or add it at the end. ``by`` is the NAME.

    What stands before the first section is always this module's own head.
    """
    stamp = f"`scripts/bench {by} --write`, {datetime.now(UTC):%Y-%m-%d}: {_machine()}."
    written = f"## {title}\n\n{body.strip()}\n\n{stamp}\n"
    before = _NEXT_SECTION.split(page.read_text())[1:] if page.exists() else []
    titles = [section.partition("\n")[0] for section in before]
    sections = [section.strip() + "\n" for section in before]
    if f"## {title}" in titles:
        sections[titles.index(f"## {title}")] = written
    else:
        sections.append(written)
    page.write_text("\n".join([_HEAD, *sections]))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table. A column whose name begins with a space is text, the others are numbers."""
    rule = ["---" if name.startswith(" ") else "---:" for name in head]
    lines = [f"| {' | '.join(name.strip() for name in head)} |", f"|{'|'.join(rule)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _machine() -> str:
    version = subprocess.run(
        ["git", "--version"], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
    python = platform.python_version()
    return f"{os.cpu_count()} CPUs, Linux {platform.release()}, {version}, Python {python}"
