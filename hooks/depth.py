"""Folders in folders, so deep that git itself could not walk them any more.

git walks trees by recursion, in every clone and repacking: with its usual stack, C git 2.39 dies
somewhere between 5,000 and 50,000 levels, which 2 MB can hold. Our own children have a stack for
60,000 (``confine``); a push that could make more than that is walked once before it counts.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from enclave.errors import PushRefused
from hooks.git import Objects, confine

DEEP_OBJECTS = 40_000
"""A push of fewer cannot, by itself, make a tree too deep for our children."""

_SECONDS = 60
_ADDRESS_SPACE = 1 << 30


def check_depth(objects: Objects, tips: Iterable[str], known: Iterable[str]) -> None:
    """Have git walk all that is new: what ``tips`` reach and ``known`` ids do not.

    With its usual stack, so what passes is far from what kills a fetch. Raises ``PushRefused``.
    """
    lines = [*(f"{tip}\n" for tip in tips), *(f"^{each}\n" for each in known)]
    walker = subprocess.Popen(
        ["git", "rev-list", "--objects", "--quiet", "--stdin"],
        env=objects.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        confine(walker, cpu_seconds=_SECONDS, address_space=_ADDRESS_SPACE)
        walker.communicate("".join(lines).encode(), timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PushRefused("the history took too long to walk") from error
    finally:
        walker.kill()
        walker.communicate()
    if walker.returncode != 0:
        raise PushRefused("git cannot walk the files of a commit: folders in folders, too deep")
