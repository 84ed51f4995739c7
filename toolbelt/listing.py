"""Listings: as the toolbelt prints them, or as JSON with ``APTIBLE_OUTPUT_FORMAT=json``."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Sequence

from toolbelt.errors import ToolbeltError
from toolbelt.hal import Body

_FORMAT_VARIABLE = "APTIBLE_OUTPUT_FORMAT"
_ACTIVITY_HEAD = ("TIME", "BY", "WHAT", "ABOUT", "SHOWED", "FROM", "WITH")
_RELEASE_HEAD: tuple[str, ...] = (
    "NUMBER",
    "STATUS",
    "TIME",
    "BY",
    "TYPE",
    "COMMIT",
    "IMAGE",
    "DIGEST",
)
_COMMIT_CHARACTERS = 8
_DIGEST_CHARACTERS = len("sha256:") + 12


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


def list_variable(name: str, env: dict[str, str]) -> str:
    """Return the value of one variable, as it is; raises ``ToolbeltError`` when it is not set."""
    if name not in env:
        raise ToolbeltError(f"The variable {name} is not set")
    if _json_wanted():
        return _json({"key": name, "value": env[name]})
    return env[name]


def list_releases(releases: list[Body]) -> str:
    """Return a line for each release, newest first."""
    if _json_wanted():
        names = (
            *("number", "status", "type", "created_at", "user_email"),
            *("image", "digest", "git_ref"),
        )
        return _json([{name: release[name] for name in names} for release in releases])
    if not releases:
        return ""
    return _table([_RELEASE_HEAD, *(_release_row(release) for release in releases)])


def list_activity(changes: list[Body]) -> str:
    """Return a line for each change, newest first."""
    names = ("created_at", "user_email", "action", "about", "proof", "remote_address", "user_agent")
    if _json_wanted():
        return _json([{name: change[name] for name in names} for change in changes])
    if not changes:
        return ""
    rows = [[str(change[name] or "") for name in names] for change in changes]
    return _table([_ACTIVITY_HEAD, *rows])


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def list_endpoints(app: Body, endpoints: list[Body]) -> str:
    """Return a block for each endpoint of an app."""
    described = [_endpoint(app, endpoint) for endpoint in endpoints]
    if _json_wanted():
        return _json(described)
    return "\n\n".join(_endpoint_block(each) for each in described)


def list_created_endpoint(app: Body, endpoint: Body) -> str:
    """Return what an endpoint is like once it is provisioned."""
    described = _endpoint(app, endpoint)
    return _json(described) if _json_wanted() else _endpoint_block(described)


def list_webhooks(webhooks: list[Body]) -> str:
    """Return a block for each webhook of an app, with its newest delivery."""
    if _json_wanted():
        return _json([_webhook(each) for each in webhooks])
    return "\n\n".join(_webhook_block(each) for each in webhooks)


def list_created_webhook(webhook: Body) -> str:
    """Return a new webhook and its secret, which no other answer shows."""
    if _json_wanted():
        return _json({**_webhook(webhook), "secret": webhook["secret"]})
    return f"{_webhook_block(webhook)}\nSecret: {webhook['secret']}"


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


def _release_row(release: Body) -> tuple[str, ...]:
    digest = release["digest"] or ""
    return (
        str(release["number"]),
        release["status"],
        release["created_at"],
        release["user_email"],
        release["type"],
        (release["git_ref"] or "-")[:_COMMIT_CHARACTERS],
        release["image"],
        digest[:_DIGEST_CHARACTERS],
    )


def _endpoint(app: Body, endpoint: Body) -> Body:
    """Return an endpoint in the toolbelt's words; those that would say nothing are left out."""
    live = {each["process_type"]: each for each in app["_embedded"]["services"]}
    process_type = endpoint["process_type"]
    service = live.get(process_type)
    described = {
        "id": endpoint["id"],
        "hostname": endpoint["external_host"],
        "status": endpoint["status"],
        "created_at": endpoint["created_at"],
        "type": "https",
        "port": endpoint["container_port"] or "default",
        "load_balancing_algorithm_type": endpoint["load_balancing_algorithm_type"],
        "shared": endpoint["shared"],
        "internal": endpoint["internal"],
        "ip_whitelist": " ".join(endpoint["ip_whitelist"]) or "all traffic",
        "default_domain_enabled": endpoint["default"],
    }
    if endpoint["default"]:
        described["default_domain"] = endpoint["virtual_domain"]
    described["managed_tls_enabled"] = endpoint["acme"]
    described["service"] = _service(service) if service else {"service": process_type}
    return described


def _endpoint_block(described: Body) -> str:
    return _block({**described, "service": described["service"]["service"]})


def _block(values: Body) -> str:
    return "\n".join(
        f"{_title(name)}: {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
        if not isinstance(value, dict)
    )


def _title(name: str) -> str:
    """Return ``ip_whitelist`` as ``IP Whitelist``."""
    words = name.replace("_", " ").title().split()
    return " ".join(word.upper() if word in ("Ip", "Tls") else word for word in words)


def _webhook(webhook: Body) -> Body:
    names = ("status", "attempts", "response_code", "error", "created_at", "next_attempt_at")
    deliveries = [
        {name: each[name] for name in ("id", *names)} for each in webhook["_embedded"]["deliveries"]
    ]
    described = {name: webhook[name] for name in ("id", "url", "active", "created_at")}
    return {**described, "deliveries": deliveries}


def _webhook_block(webhook: Body) -> str:
    lines = [
        f"Id: {webhook['id']}",
        f"Url: {webhook['url']}",
        f"Active: {str(webhook['active']).lower()}",
    ]
    for last in webhook["_embedded"]["deliveries"][:1]:
        why = last["error"] or (f"answer {last['response_code']}" if last["response_code"] else "")
        told = f"Last Delivery: {last['status']} after {last['attempts']} attempt(s)"
        lines.append(f"{told}: {why}" if why else told)
    return "\n".join(lines)
