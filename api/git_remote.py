"""The address that users give to ``git remote add``."""

from __future__ import annotations

from enclave.app import App
from enclave.settings import Settings

_SSH_PORT = 22


def git_remote(settings: Settings, app: App) -> str:
    """Return ``git@HOST:ENVIRONMENT/APP.git``, as a URL when the port is not SSH's own (SPEC 2)."""
    host, port = settings.ssh_public_host, settings.ssh_port
    if port == _SSH_PORT:
        return f"git@{host}:{app.name}.git"
    return f"ssh://git@{host}:{port}/{app.name}.git"
