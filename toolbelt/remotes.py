"""Git remotes: which app a working copy is pushed to."""

from __future__ import annotations

import re
import subprocess
from urllib.parse import urlsplit

_DEADLINE_SECONDS = 10
_PATH = re.compile(r"/?(?P<environment>[0-9a-z._-]+)/(?P<app>[0-9a-z._-]+?)(?:\.git)?/?")
_SCP_LIKE = re.compile(r"(?:[^@/:]+@)?(?:\[[^\]]+\]|[^@/:]+):(?P<path>.+)")


def app_of_remote(name: str) -> tuple[str, str] | None:
    """Return environment and app that the remote of the current repository names, or None."""
    try:
        answer = subprocess.run(
            ["git", "remote", "get-url", "--", name],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return app_of_url(answer.stdout.strip()) if answer.returncode == 0 else None


def app_of_url(url: str) -> tuple[str, str] | None:
    """Return environment and app of ``git@HOST:ENV/APP.git`` or a URL with that path, or None."""
    if "://" in url:
        path = urlsplit(url).path
    else:
        scp_like = _SCP_LIKE.fullmatch(url)
        path = scp_like["path"] if scp_like else ""
    match = _PATH.fullmatch(path)
    return (match["environment"], match["app"]) if match else None
