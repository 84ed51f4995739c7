"""What commands print, without what only a terminal obeys (ECMA-48) or what hides text."""

from __future__ import annotations

import re

LONGEST_ESCAPE = 256
"""Characters; a sequence that is longer is cut, and shows."""

_STRING = r"\x1b[\]PX^_][^\x07\x1b\n]{0,250}(?:\x07|\x1b\\)"  # a window's title, a link
_CONTROL = r"\x1b\[[0-9:;<=>?]*[ -/]*[@-~]"  # colours, movements of the cursor
_SHORT = r"\x1b[ -/]*[0-~]"
_CHARACTERS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
_JUNK = re.compile(f"{_STRING}|{_CONTROL}|{_SHORT}|{_CHARACTERS}")


def plain_text(text: str) -> str:
    """Return ``text`` without escape sequences, control characters and changes of direction."""
    return _JUNK.sub("", text)


def last_drawn(line: str) -> str:
    """Return what a terminal would show of a line that was drawn again and again.

    A carriage return begins it anew.
    """
    return line.rstrip("\r").rpartition("\r")[2]
