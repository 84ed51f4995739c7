"""What an app is at one moment, read behind the platform's back: from Redis and the Engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import docker

from testbed.engine import API_VERSION
from testbed.installation import Installation

MASTER = "refs/heads/master"


@dataclass(frozen=True, slots=True)
class AppState:
    """Operations are ``(id, status)``, oldest first; containers are as the Engine lists them."""

    operations: list[tuple[int, str]]
    ref: str | None
    release: int | None
    release_commit: str | None
    services: dict[str, int]
    containers: list[dict[str, Any]]
    held: list[str]
    """Keys that stand for something under way: lease, queue, reservations, a note to tidy."""

    @property
    def under_way(self) -> list[str]:
        """Say what has not come to its end."""
        unfinished = [str(each) for each, status in self.operations if status in _UNFINISHED]
        said = [f"operation {each} has not ended" for each in unfinished]
        return said + [f"{key} is still there" for key in self.held]

    @property
    def not_whole(self) -> list[str]:
        """Say in what the containers differ from the live release, as a whole."""
        problems, counts = [], dict.fromkeys(self.services, 0)
        for container in self.containers:
            labels, name = container["Labels"], container["Names"][0]
            if labels.get("enclave.release") != str(self.release):
                problems.append(f"{name} is not of release {self.release}")
            elif container["State"] != "running":
                problems.append(f"{name} is {container['State']}")
            else:
                service = labels["enclave.service"]
                counts[service] = counts.get(service, 0) + 1
        if counts != self.services:
            problems.append(f"{counts} run, not {self.services}")
        return problems


_UNFINISHED = ("queued", "running")


def app_state(installation: Installation, app: str) -> AppState:
    """Return what ``ENVIRONMENT/APP`` is now."""
    app_id = installation.app_id(app)
    prefix = f"enclave:app:{app_id}"
    with installation.redis() as client:
        ids = [int(each) for each in client.zrange(f"{prefix}:operations", 0, -1)]
        operations = [
            (each, str(client.hget(f"enclave:operation:{each}", "status"))) for each in ids
        ]
        ref = client.hget(f"{prefix}:refs", MASTER)
        state = json.loads(str(client.hget(prefix, "state") or "{}"))
        number = state.get("release")
        record = client.hget(f"{prefix}:releases", str(number)) if number else None
        held = [
            key
            for key in (f"{prefix}:lease", f"{prefix}:queue", f"{prefix}:reservations")
            if client.exists(key)
        ]
        held += ["untidy"] if client.hexists("enclave:untidy", str(app_id)) else []
    release = json.loads(str(record)) if record else {}
    pushed = release.get("pushed") or {}
    installed = _containers(installation, app_id)
    return AppState(
        operations=operations,
        ref=str(ref) if ref else None,
        release=number,
        release_commit=pushed.get("commit"),
        services={
            each["process_type"]: each["container_count"] for each in release.get("services", ())
        },
        containers=installed,
        held=held,
    )


def _containers(installation: Installation, app_id: int) -> list[dict[str, Any]]:
    labels = {"label": f"enclave.app={app_id}"}
    with docker.APIClient(
        base_url=installation.engine_url, version=API_VERSION, timeout=10
    ) as client:
        return list(client.containers(all=True, filters=labels))
