"""Reads the path of a git remote: which app, and nothing else, can it name."""

from __future__ import annotations

import re

from enclave.errors import NotFound
from receiver.conversation import GitService

_PATH = re.compile(r"/?(?P<environment>[0-9a-z._-]{1,64})/(?P<app>[0-9a-z._-]{1,64}?)(\.git)?/?")


def read_path(service: str, path: str) -> tuple[GitService, str, str]:
    """Return service, environment and app of ``ENV/APP.git``.

    The names only ever are looked up in the store; no path of a client's touches the disk. Raises
    ``NotFound`` for another service and for every other shape of path, in the same words as for an
    app that is not there.
    """
    match = _PATH.fullmatch(path)
    try:
        known = GitService(service)
    except ValueError as error:
        raise NotFound("only git push, fetch and clone are served here.") from error
    if match is None:
        raise NotFound("Repository not found, or you may not use it.")
    return known, match["environment"], match["app"]
