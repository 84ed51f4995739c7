"""The events of a small, plain YAML file: what hostile YAML is made of does not get through."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import yaml

from enclave.errors import Problem
from enclave.pushed_text import PushedText

NESTING_LIMIT = 20
"""Lists and mappings inside each other, the outermost counted (SPEC 5.1)."""

_CURE = (
    "check the indentation and the brackets, and put a command in quotes if it has ': ' or ' #' "
    "in it, or begins with one of [ ] { } , & * ! | > ' \" % @ ` - ? :"
)


class YamlEvents(Iterator[yaml.Event]):
    """The events of one document, read with PyYAML's pure-Python parser (SPEC 5.1).

    Iterating never raises. It ends early where the text stops being YAML, at a second document
    and beyond ``NESTING_LIMIT``: PyYAML itself knows no limit, its C parser crashes on 60 KB of
    ``[``, and the one in Python takes 100 seconds for them. ``problems`` says why, and names
    every anchor, alias and tag that was passed.
    """

    def __init__(self, source: PushedText) -> None:
        self.problems: list[Problem] = list(source.problems)
        self._source = source
        self._events = self._read()

    def __next__(self) -> yaml.Event:
        return next(self._events)

    def line(self, event: yaml.Event) -> int:
        """Return the line on which ``event`` begins, counted from 1."""
        return self._source.place(_index(event.start_mark))[0]

    def refuse(self, event: yaml.Event, message: str) -> None:
        """Add a problem at the place where ``event`` begins."""
        self._refuse_at(_index(event.start_mark), message)

    def skip(self, event: yaml.Event) -> None:
        """Pass what is left of the node that ``event`` begins."""
        depth = 0
        for passed in chain([event], self):
            depth += _step(passed)
            if depth == 0:
                return

    def _read(self) -> Iterator[yaml.Event]:
        loader = yaml.SafeLoader(self._source.text)
        depth = 0
        documents = 0
        try:
            while loader.check_event():
                event: yaml.Event = loader.get_event()  # type: ignore[no-untyped-call]
                depth += _step(event)
                documents += isinstance(event, yaml.DocumentStartEvent)
                if depth > NESTING_LIMIT:
                    self.refuse(event, f"nested more than {NESTING_LIMIT} deep: write it flat")
                    return
                if documents > 1:
                    self.refuse(event, "a second document begins here: keep one, and no other ---")
                    return
                self._check_node(event)
                yield event
        except yaml.MarkedYAMLError as error:
            if not self._source.problems:  # or else what is wrong may well be just those
                self._refuse_syntax(error)
        except (yaml.YAMLError, ValueError, OverflowError):
            # Not from YAML's grammar, but from Python's chr and int, which PyYAML lets through:
            # an escape such as "\UFFFFFFFF", or a %YAML version of thousands of digits.
            self._refuse_at(
                _index(loader.get_mark()), "not YAML (a number is out of range): mend it"
            )
        finally:
            loader.dispose()

    def _check_node(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.refuse(event, "an alias (*) is not allowed: repeat the text, or put it in quotes")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self.refuse(event, "an anchor (&) is not allowed: remove it, or put the text in quotes")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag:
            self.refuse(event, "a tag (!) is not allowed: remove it, or put the text in quotes")

    def _refuse_syntax(self, error: yaml.MarkedYAMLError) -> None:
        reason, mark, cure = error.problem or "unreadable", error.problem_mark, _CURE
        if "'\\t'" in reason:
            reason, cure = "a tab", "indent with spaces"
        elif error.context_mark and ("end of stream" in reason or "stream end" in reason):
            # The end is where it was noticed; what was never closed begins at the context.
            reason, mark = "it is not closed", error.context_mark
            cure = "add the closing quote or bracket"
        self._refuse_at(_index(mark), f"not YAML ({reason}): {cure}")

    def _refuse_at(self, index: int, message: str) -> None:
        self.problems.append(Problem(message, *self._source.place(index)))


def _index(mark: object) -> int:
    """Return a mark's index: PyYAML's own lines also end at U+2028, those of git do not."""
    return mark.index if isinstance(mark, yaml.Mark) else 0


def _step(event: yaml.Event) -> int:
    """Return by how much ``event`` changes the nesting."""
    return isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
