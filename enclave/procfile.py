"""Procfiles: the process types of an app, and the command of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from enclave.errors import InvalidProcfile, Problem
from enclave.pushed_text import PushedText

PATH = "Procfile"
TYPE_LIMIT = 63
"""Characters in the name of a process type."""

_BLANKS = " \t"
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_UNFIT_IN_TYPE = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class ProcessType:
    """One process type and the command that its containers run.

    ``line`` is where a Procfile has it, counted from 1; it makes no two process types differ.
    """

    name: str
    command: str
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Procfile:
    """The process types that a Procfile declares, in its order; at least one."""

    processes: tuple[ProcessType, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the process types, in the order of the file."""
        return tuple(process.name for process in self.processes)

    def get(self, name: str) -> ProcessType | None:
        """Return the process type called exactly ``name``, None if there is none."""
        return next((process for process in self.processes if process.name == name), None)

    def render(self) -> str:
        """Return a Procfile that parses to an equal one; comments and spacing are not kept.

        It may be longer than the one that was parsed, and so, at the limit, too long.
        """
        return "".join(f"{process.name}: {process.command}\n" for process in self.processes)


def parse_procfile(data: bytes) -> Procfile:
    """Read a Procfile (SPEC 4.3).

    Blanks around the colon are spaces and tabs. From the first other character to the end of its
    line (``\\n`` or ``\\r\\n``) the command is kept as it is, trailing blanks included.

    Raises :class:`InvalidProcfile` with every problem of the file.
    """
    source = PushedText.read(data)
    unreadable = {problem.line for problem in source.problems}
    found = [
        _read_line(number, line)
        for number, line in _numbered_lines(source.text)
        if number not in unreadable and line.strip(_BLANKS) and not line.startswith("#")
    ]
    processes = tuple(each for each in found if isinstance(each, ProcessType))
    problems = [
        *source.problems,
        *(each for each in found if isinstance(each, Problem)),
        *_repetitions(processes),
    ]
    if not found and not problems:
        problems.append(Problem("no process type: add a line such as 'web: COMMAND'"))
    if problems:
        raise InvalidProcfile(PATH, tuple(sorted(problems, key=lambda each: each.line or 0)))
    return Procfile(processes)


def _numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r")


def _read_line(number: int, line: str) -> ProcessType | Problem:
    if line[0] in _BLANKS:
        return Problem(
            "the line begins with a blank: begin with the process type, and keep each command on "
            "one line",
            number,
            1,
        )
    name, colon, command = line.partition(":")
    if not colon:
        return Problem("no colon: write 'TYPE: COMMAND', or begin a comment with #", number, 1)
    name, command = name.rstrip(_BLANKS), command.lstrip(_BLANKS)
    if not _TYPE.fullmatch(name):
        return _bad_type(number, name)
    if not command:
        return Problem(
            f"the process type {name} has no command: write one after the colon, or delete the "
            "line",
            number,
            len(line) + 1,
        )
    return ProcessType(name, command, number)


def _bad_type(number: int, name: str) -> Problem:
    if not name:
        return Problem("no process type before the colon: write 'TYPE: COMMAND'", number, 1)
    if unfit := _UNFIT_IN_TYPE.search(name):
        return Problem(
            f"a process type cannot contain {unfit[0]!r}: use letters, digits, '-' and '_' only, "
            "as in 'web: COMMAND'",
            number,
            unfit.start() + 1,
        )
    if len(name) > TYPE_LIMIT:
        return Problem(
            f"the process type is longer than {TYPE_LIMIT} characters: choose a shorter name",
            number,
            1,
        )
    return Problem(
        f"a process type cannot begin with {name[0]!r}: begin with a letter or a digit", number, 1
    )


def _repetitions(processes: tuple[ProcessType, ...]) -> Iterator[Problem]:
    first: dict[str, ProcessType] = {}
    for process in processes:
        earlier = first.setdefault(process.name.lower(), process)
        if earlier is not process:
            yield Problem(
                f"the process type {process.name} is already on line {earlier.line}"
                f"{'' if process.name == earlier.name else f', as {earlier.name}'}: "
                "keep one of the two, or rename one",
                process.line,
                1,
            )
