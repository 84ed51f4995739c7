"""The .aptible.yml of a commit: commands to run before a release, and after operations."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import yaml

from enclave.errors import InvalidAptibleYml, Problem
from enclave.pushed_text import PushedText, complaint, first_unfit
from enclave.yaml_events import YamlEvents

PATH = ".aptible.yml"
_ALIASES = {"before_deploy": "before_release"}
_WARNING_LIMIT = 20  # finding what a key is close to takes time
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class AptibleYml:
    """The commands of an .aptible.yml, each kind in the order in which they run (SPEC 5).

    ``warnings`` are lines for the pusher, about keys that mean nothing to us; they make no two
    values differ.
    """

    before_release: tuple[str, ...] = ()
    after_deploy_success: tuple[str, ...] = ()
    after_deploy_failure: tuple[str, ...] = ()
    after_restart_success: tuple[str, ...] = ()
    after_restart_failure: tuple[str, ...] = ()
    after_configure_success: tuple[str, ...] = ()
    after_configure_failure: tuple[str, ...] = ()
    after_scale_success: tuple[str, ...] = ()
    after_scale_failure: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def after(self, operation: str, *, succeeded: bool) -> tuple[str, ...]:
        """Return the commands for the end of an operation of the type ``operation``.

        There are none for the types that SPEC 5.1 does not name, such as ``rebuild``.
        """
        key = f"after_{operation}_{'success' if succeeded else 'failure'}"
        commands: tuple[str, ...] = getattr(self, key) if key in KEYS else ()
        return commands

    def render(self) -> str:
        """Return an .aptible.yml that parses to an equal value; empty lists are left out.

        It may be longer than the one that was parsed, and so, at the limit, too long.
        """
        commands = {key: list(getattr(self, key)) for key in KEYS if getattr(self, key)}
        return yaml.safe_dump(commands, sort_keys=False, allow_unicode=True, width=1 << 30)


KEYS = tuple(each.name for each in fields(AptibleYml) if each.name != "warnings")
"""The keys that mean something; ``before_deploy`` is another name for the first."""


def parse_aptible_yml(data: bytes) -> AptibleYml:
    """Read an .aptible.yml (SPEC 5.1); an empty one, or one of comments alone, has no commands.

    Every command is a string: of an unquoted ``true`` or ``1``, its text. A null (nothing at all,
    ``~``, ``null``) is no command, and neither is a string of blanks.

    Raises :class:`InvalidAptibleYml` with every problem that can be told; a file that is not YAML
    is read up to the place where it is not.
    """
    reading = _Reading(YamlEvents(PushedText.read(data)))
    reading.read()
    if reading.problems:
        in_order = sorted(reading.problems, key=lambda each: (each.line or 0, each.column or 0))
        raise InvalidAptibleYml(PATH, tuple(in_order))
    return AptibleYml(**reading.commands, warnings=reading.warnings)


class _Reading:
    """One pass over the events, gathering commands, warnings and, in the events, problems.

    No method calls itself, so no nesting can use up the stack.
    """

    def __init__(self, events: YamlEvents) -> None:
        self.commands: dict[str, tuple[str, ...]] = {}
        self._events = events
        self._given: dict[str, tuple[str, int]] = {}
        """For each key the name and the line that gave it."""
        self._unknown: list[tuple[str, int]] = []

    @property
    def problems(self) -> list[Problem]:
        return self._events.problems

    @property
    def warnings(self) -> tuple[str, ...]:
        lines = [
            Problem(_unknown(name), line).at(PATH) for name, line in self._unknown[:_WARNING_LIMIT]
        ]
        if more := len(self._unknown) - len(lines):
            lines.append(Problem(f"{more} more unknown keys are ignored").at(PATH))
        return tuple(lines)

    def read(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.MappingStartEvent):
                self._read_mapping()
            elif isinstance(event, yaml.CollectionStartEvent | yaml.ScalarEvent) and not (
                _is_null(event)
            ):
                self._events.refuse(event, "not a mapping: begin with a key, as in before_release:")
                self._events.skip(event)

    def _read_mapping(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = self._read_key(event)
            value = next(self._events, None)
            if value is None:
                return
            if key in KEYS:
                self.commands[key] = tuple(self._read_commands(key, value))
            else:
                self._events.skip(value)

    def _read_key(self, event: yaml.Event) -> str | None:
        """Return the meaning of a key; None if it has none, which is then told."""
        if not isinstance(event, yaml.ScalarEvent) or _is_null(event):
            if not isinstance(event, yaml.AliasEvent):  # which the events have told already
                self._events.refuse(event, "a key must be a name: write one such as before_release")
            self._events.skip(event)
            return None
        name = event.value
        key = _ALIASES.get(name, name)
        line = self._events.line(event)
        if key in self._given:
            earlier, earlier_line = self._given[key]
            self._events.refuse(event, _repetition(name, earlier, earlier_line))
            return None
        self._given[key] = (name, line)
        if key not in KEYS:
            self._unknown.append((name, line))
            return None
        return key

    def _read_commands(self, key: str, event: yaml.Event) -> Iterator[str]:
        if isinstance(event, yaml.SequenceStartEvent):
            for item in self._events:
                if isinstance(item, yaml.SequenceEndEvent):
                    return
                yield from self._read_command(item)
        elif isinstance(event, yaml.MappingStartEvent):
            self._events.refuse(
                event, f"{key} must be a list of commands, not a mapping: write '- COMMAND' lines"
            )
            self._events.skip(event)
        else:
            yield from self._read_command(event)

    def _read_command(self, event: yaml.Event) -> Iterator[str]:
        if isinstance(event, yaml.ScalarEvent):
            if _is_null(event) or not event.value.strip():
                self._events.refuse(
                    event, "an empty command: write one, or [] after the key for none"
                )
            elif unfit := first_unfit(event.value):
                self._events.refuse(event, complaint(unfit))
            else:
                yield event.value
        elif not isinstance(event, yaml.AliasEvent):
            kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
            self._events.refuse(
                event,
                f"a command must be a string, this is a {kind}: put it in quotes, as it has "
                f"{'brackets' if kind == 'list' else 'a colon or braces'} in it",
            )
            self._events.skip(event)


def _is_null(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.style is None and event.value in _NULLS


def _repetition(name: str, earlier: str, line: int) -> str:
    if name == earlier:
        return f"the key {_quoted(name)} is already on line {line}: put all into one"
    return f"{name} and {earlier} (line {line}) mean the same: keep one of them"


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, (*KEYS, *_ALIASES), n=1, cutoff=0.8)
    hint = f": did you mean {close[0]}?" if close else ""
    return f"the key {_quoted(name)} means nothing and is ignored{hint}"


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 64 else f"{name[:63]}…")
