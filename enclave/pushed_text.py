"""What any pushed file must be before its own grammar counts: a little plain UTF-8 text.

The rules that ``Procfile`` (SPEC 4.3) and ``.aptible.yml`` (SPEC 5.1) share.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

from enclave.errors import Problem

SIZE_LIMIT = 64 * 1024
"""Bytes."""

_CONFLICT_MARKER = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?=[ \r\n]|\Z)", re.MULTILINE)

# Control characters but tab and line ends, two noncharacters that PyYAML does not read either,
# and surrogates: as those, "surrogateescape" decodes bytes that are not UTF-8.
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]|\r(?!\n)")


@dataclass(frozen=True, slots=True)
class PushedText:
    """The text of a pushed file without its BOM, and what is wrong with it as a text.

    Only ``\\n`` and ``\\r\\n`` end lines, as they do for git. ``problems`` has at most one for each
    line. Where there are any, ``text`` serves only to find more, in the same places: characters
    that cannot stand are U+FFFD in it, and merge-conflict markers are comments.
    """

    text: str
    problems: tuple[Problem, ...]
    _line_starts: tuple[int, ...] = field(repr=False)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Decode ``data``; never raises. More than 64 KiB, or UTF-16, are read as empty."""
        if len(data) > SIZE_LIMIT:
            problem = Problem(f"the file is larger than {SIZE_LIMIT // 1024} KiB: make it shorter")
            return cls("", (problem,), (0,))
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return cls("", (Problem("the file is UTF-16: save it as UTF-8"),), (0,))
        raw = data.removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape")
        starts = (0, *(end.end() for end in re.finditer("\n", raw)))
        problems: dict[int | None, Problem] = {}
        for found in chain(_CONFLICT_MARKER.finditer(raw), _UNFIT.finditer(raw)):
            line, column = _place(starts, found.start())
            problems.setdefault(line, Problem(_complaint(found[0]), line, column))
        text = _UNFIT.sub("\N{REPLACEMENT CHARACTER}", _CONFLICT_MARKER.sub("#######", raw))
        return cls(text, tuple(problems.values()), starts)

    def place(self, index: int) -> tuple[int, int]:
        """Return line and column of the character ``text[index]``, both counted from 1."""
        return _place(self._line_starts, index)


def first_unfit(text: str) -> str | None:
    """Return the first character that could not stand in a pushed file, None if all could."""
    found = _UNFIT.search(text)
    return found[0] if found else None


def complaint(unfit: str) -> str:
    """Return what to say about a character that ``first_unfit`` found."""
    if unfit == "\r":
        return "a carriage return without a line feed: end lines with LF or CRLF"
    return f"the character U+{ord(unfit):04X} cannot stand here: remove it"


def _complaint(found: str) -> str:
    """Say it of what stands in the file itself: conflict markers and undecoded bytes, too."""
    if len(found) > 1:
        return f"a merge conflict was left here ({found}): keep one side and delete the markers"
    if "\udc80" <= found <= "\udcff":
        return f"the byte 0x{ord(found) - 0xDC00:02x} is not UTF-8: save the file as UTF-8"
    return complaint(found)


def _place(line_starts: tuple[int, ...], index: int) -> tuple[int, int]:
    line = bisect_right(line_starts, index)
    return line, index - line_starts[line - 1] + 1
