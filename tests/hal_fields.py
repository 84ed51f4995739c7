"""What every resource holds, as API.md has it and ours: clients may rely on each line of this."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import NoneType
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _time(value: object) -> bool:
    return isinstance(value, str) and TIME.fullmatch(value) is not None


def _maybe_time(value: object) -> bool:
    return value is None or _time(value)


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: value in words


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _ports(value: object) -> bool:
    return isinstance(value, list) and all(type(each) is int for each in value)


def _variables(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


Check = type | tuple[type, ...] | Callable[[object], bool]
STATUS = _one_of("pending", "provisioned", "deprovisioned")
MAYBE_TEXT, MAYBE_INT = (str, NoneType), (int, NoneType)

FIELDS: dict[str, dict[str, Check]] = {
    "token": {
        "id": str,
        "access_token": str,
        "token_type": _one_of("bearer"),
        "expires_in": int,
        "expires_at": int,
        "scope": str,
        "name": str,
        "created_at": _time,
        "last_used_at": _maybe_time,
    },
    "member": {"id": int, "email": str, "role": str, "created_at": _time},
    "activity": {
        "id": str,
        "action": str,
        "about": str,
        "created_at": _time,
        "user_email": str,
        "proof": str,
        "remote_address": str,
        "user_agent": str,
    },
    "user": {"id": int, "email": str, "name": str, "created_at": _time},
    "ssh_key": {"id": int, "name": str, "ssh_public_key": str, "public_key_fingerprint": str},
    "organization": {"id": int, "name": str},
    "stack": {
        "id": int,
        "name": str,
        "region": str,
        "outbound_ip_addresses": _texts,
        "ssh_portal_host": str,
        "ssh_portal_port": int,
        "ssh_host_rsa_public_key": str,
    },
    "account": {"id": int, "handle": str, "type": str, "created_at": _time},
    "app": {
        "id": int,
        "handle": str,
        "git_repo": str,
        "status": STATUS,
        "deployment_method": _one_of("docker_image", "git"),
        "created_at": _time,
        "updated_at": _time,
    },
    "operation": {
        "id": int,
        "type": str,
        "status": _one_of("queued", "running", "succeeded", "failed"),
        "cancelled": bool,
        "git_ref": MAYBE_TEXT,
        "created_at": _time,
        "updated_at": _time,
        "user_email": str,
    },
    "ssh_portal_connection": {
        "ssh_user": str,
        "ssh_pty": bool,
        "ssh_certificate_body": str,
    },
    "service": {
        "id": int,
        "handle": str,
        "process_type": str,
        "command": MAYBE_TEXT,
        "container_count": int,
        "container_memory_limit_mb": int,
        "instance_class": str,
        "stop_timeout": MAYBE_INT,
        "docker_repo": MAYBE_TEXT,
        "docker_ref": MAYBE_TEXT,
        "created_at": _time,
    },
    "configuration": {"id": int, "env": _variables},
    "image": {
        "id": int,
        "git_repo": str,
        "git_ref": MAYBE_TEXT,
        "docker_repo": str,
        "docker_ref": MAYBE_TEXT,
        "exposed_ports": _ports,
        "created_at": _time,
    },
    "vhost": {
        "id": int,
        "external_host": str,
        "virtual_domain": str,
        "status": STATUS,
        "created_at": _time,
        "type": _one_of("http"),
        "platform": str,
        "process_type": str,
        "container_port": MAYBE_INT,
        "load_balancing_algorithm_type": str,
        "shared": bool,
        "internal": bool,
        "ip_whitelist": _texts,
        "default": bool,
        "acme": bool,
        "user_domain": MAYBE_TEXT,
        "acme_dns_challenge_host": MAYBE_TEXT,
        "acme_status": MAYBE_TEXT,
        "current_setting": (dict, NoneType),
    },
    "certificate": {
        "id": int,
        "common_name": str,
        "subject_alternative_names": _texts,
        "issuer_common_name": str,
        "not_before": _time,
        "not_after": _time,
        "sha256_fingerprint": str,
        "created_at": _time,
    },
    "webhook": {"id": int, "url": str, "active": bool, "created_at": _time},
    "webhook_delivery": {
        "id": int,
        "status": str,
        "attempts": int,
        "response_code": MAYBE_INT,
        "error": MAYBE_TEXT,
        "created_at": _time,
        "attempted_at": MAYBE_TEXT,
        "next_attempt_at": MAYBE_TEXT,
        "ended_at": MAYBE_TEXT,
    },
    "release": {
        "id": int,
        "number": int,
        "status": str,
        "type": str,
        "created_at": _time,
        "user_email": str,
        "image": MAYBE_TEXT,
        "docker_repo": str,
        "docker_ref": MAYBE_TEXT,
        "digest": MAYBE_TEXT,
        "git_ref": MAYBE_TEXT,
    },
}
"""Every field of every resource, each with what its value may be."""

LINKS = {
    "token": {"self", "user"},
    "user": {"self"},
    "ssh_key": {"self"},
    "member": {"self", "account"},
    "activity": {"self"},
    "organization": {"self", "accounts"},
    "stack": {"self"},
    "account": {
        *("self", "apps", "certificates", "stack", "organization"),
        *("ssh_keys", "members", "activity"),
    },
    "app": {
        *("self", "account", "operations", "services", "configurations", "images"),
        *("releases", "vhosts", "webhooks", "log_events", "activity"),
    },
    "operation": {
        *("self", "account", "resource", "logs", "events"),
        "ssh_portal_connections",
    },
    "ssh_portal_connection": {"operation"},
    "service": {"self", "account", "app", "operations", "vhosts"},
    "configuration": {"self", "app"},
    "image": {"self", "app"},
    "vhost": {"self", "app", "operations"},
    "certificate": {"self", "account"},
    "webhook": {"self", "app"},
    "webhook_delivery": {"operation"},
    "release": {"self", "app", "operation"},
}
"""The links that are always there."""

SOMETIMES = {
    "app": {"current_configuration"},
    "operation": {"user"},
    "user": {"ssh_keys", "tokens"},
    "ssh_key": {"user", "account"},
    "activity": {"app", "operation"},
    "vhost": {"service", "certificate"},
}
"""Those that are there while they lead anywhere."""


def check_resource(resource: dict[str, Any]) -> None:
    """Each field that is documented is there and of its type, and no other."""
    type_ = resource["_type"]
    given_fields = {name: value for name, value in resource.items() if not name.startswith("_")}
    assert given_fields.keys() == FIELDS[type_].keys(), type_
    for name, check in FIELDS[type_].items():
        value = given_fields[name]
        if isinstance(check, tuple):
            fits = type(value) in check
        else:
            fits = type(value) is check if isinstance(check, type) else check(value)
        assert fits, f"{type_}.{name} is {value!r}"
    links = resource["_links"].keys()
    assert LINKS[type_] <= links <= LINKS[type_] | SOMETIMES.get(type_, set()), type_
