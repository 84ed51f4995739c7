"""Folders in folders, so deep that git itself could not walk them any more.

git walks trees by recursion, in every clone and repacking: C git 2.39 dies at some 50,000 levels,
which 2 MB can hold. So a push of many objects is walked once before it counts.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from enclave.errors import PushRefused
from hooks.git import Objects

DEEP_OBJECTS = 2_000
"""A push of fewer objects is not worth the walk: it makes no tree that is too deep by itself."""

_SECONDS = 60


def check_depth(objects: Objects, tips: Iterable[str]) -> None:
    """Have git walk the files of each tip, with its usual stack. Raises ``PushRefused``."""
    try:
        walked = subprocess.run(
            ["git", "rev-list", "--objects", "--no-walk", "--quiet", "--stdin"],
            env=objects.environment(),
            input="".join(f"{tip}\n" for tip in tips).encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PushRefused("the files of a commit took too long to walk") from error
    if walked.returncode != 0:
        raise PushRefused("git cannot walk the files of a commit: folders in folders, too deep")
