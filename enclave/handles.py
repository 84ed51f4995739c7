"""Handles: the names of environments and apps."""

from __future__ import annotations

import re

from enclave.errors import InvalidHandle

LENGTH_LIMIT = 64
RESERVED_PREFIX = "internal-"

_CHARACTERS = "lower-case letters, digits, '.', '_' and '-'"
_UNFIT = re.compile(r"[^0-9a-z._-]")


def check_handle(text: str) -> str:
    """Return ``text`` if it is a handle: ``^[0-9a-z._-]{1,64}$``, not in ``internal-`` (SPEC 1).

    Whether it is taken is not checked here. ``.`` and ``..`` are handles: join none to a path.

    Raises :class:`InvalidHandle` with a sentence that says what to mend.
    """
    if not text:
        raise InvalidHandle(f"A handle cannot be empty: use 1 to 64 {_CHARACTERS}.")
    if len(text) > LENGTH_LIMIT:
        raise InvalidHandle(
            f"A handle has at most {LENGTH_LIMIT} characters, this one has {len(text)}: "
            "choose a shorter one."
        )
    if unfit := _UNFIT.search(text):
        if not _UNFIT.search(text.lower()):
            raise InvalidHandle(f"A handle must be lower case: write {text.lower()!r}.")
        raise InvalidHandle(
            f"A handle cannot contain {unfit[0]!r} (character {unfit.start() + 1}): "
            f"use {_CHARACTERS} only."
        )
    if text.startswith(RESERVED_PREFIX):
        raise InvalidHandle(
            f"Handles that start with {RESERVED_PREFIX!r} are reserved: choose another start."
        )
    return text
