"""Listings: as the toolbelt prints them, or as JSON with ``APTIBLE_OUTPUT_FORMAT=json``."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable

from toolbelt.hal import Body

_FORMAT_VARIABLE = "APTIBLE_OUTPUT_FORMAT"


def list_apps(environments: Iterable[tuple[Body, list[Body]]]) -> str:
    """Return the apps under the names of their environments."""
    listed = list(environments)
    if _json_wanted():
        return _json([_app(app, account) for account, apps in listed for app in apps])
    blocks = ["\n".join([f"=== {account['handle']}", *_handles(apps)]) for account, apps in listed]
    return "\n\n".join(blocks)


def list_created_app(app: Body) -> str:
    """Return what one does next with a new app."""
    if _json_wanted():
        return _json({"git_remote": app["git_repo"]})
    return f"Git Remote: {app['git_repo']}"


def list_services(app: Body) -> str:
    """Return a block for each service."""
    services = [
        {**_service(service), "app": {"id": app["id"], "handle": app["handle"]}}
        for service in app["_embedded"]["services"]
    ]
    if _json_wanted():
        return _json(services)
    return "\n\n".join(_block(service) for service in services)


def list_variables(env: dict[str, str]) -> str:
    """Return the configuration, quoted for a shell."""
    exports = {name: f"{name}={shlex.quote(env[name])}" for name in sorted(env)}
    if _json_wanted():
        return _json(
            [
                {"key": name, "value": env[name], "shell_export": export}
                for name, export in exports.items()
            ]
        )
    return "\n".join(exports.values())


def _json_wanted() -> bool:
    return os.environ.get(_FORMAT_VARIABLE, "").lower() == "json"


def _json(value: object) -> str:
    return json.dumps(value, indent=2)


def _handles(apps: list[Body]) -> list[str]:
    return [str(app["handle"]) for app in apps]


def _app(app: Body, account: Body) -> Body:
    return {
        "id": app["id"],
        "handle": app["handle"],
        "created_at": app["created_at"],
        "status": app["status"],
        "git_remote": app["git_repo"],
        "last_deploy_operation": _operation(app["_embedded"]["last_deploy_operation"]),
        "services": [_service(service) for service in app["_embedded"]["services"]],
        "environment": {
            "id": account["id"],
            "handle": account["handle"],
            "created_at": account["created_at"],
        },
    }


def _operation(operation: Body | None) -> Body | None:
    if operation is None:
        return None
    return {
        name: operation[name] for name in ("id", "status", "git_ref", "user_email", "created_at")
    }


def _service(service: Body) -> Body:
    return {
        "id": service["id"],
        "service": service["process_type"],
        "created_at": service["created_at"],
        "command": service["command"] or "CMD",
        "container_count": service["container_count"],
        "container_size": service["container_memory_limit_mb"],
    }


def _block(values: Body) -> str:
    return "\n".join(
        f"{name.replace('_', ' ').title()}: {value}"
        for name, value in values.items()
        if not isinstance(value, dict)
    )
