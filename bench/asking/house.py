"""A receiver with few apps or many, which have all been deployed, and someone who may see all."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from bench.pushing.private_redis import start_redis
from enclave.app import App, AppSecrets, AppState, Service
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.people import Environment, Role, User
from enclave.release import Release
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.store.leases import Ending
from enclave.tokens import issue_token
from testbed.processes import Child, free_port

Body = dict[str, Any]
"""A JSON object that the API has answered with."""

_DIGEST = "sha256:" + "d" * 64
_SERVICES = (Service("web", None, 1), Service("worker", "exec work", 2))
_OPERATIONS = 3  # ended ones of each app
_MAKERS = 8
_TOKEN_SECONDS = 3600
_READY_SECONDS = 30


class House:
    """A receiver of its own, with a Redis, of ``apps`` apps; asked by an admin of them all.

    Every app has a release with two services, configuration, and operations that have ended. No
    worker is there: what is queued stays queued.
    """

    def __init__(self, directory: Path, apps: int) -> None:
        directory.mkdir()
        self.apps = apps
        socket, port = directory / "redis.sock", free_port()
        self.url = f"http://localhost:{port}"
        self._redis = start_redis(directory, socket)
        self.store = Store(f"unix://{socket}", Sealer.from_settings("", directory))
        self._receiver = Child(
            [sys.executable, "-m", "admin", "receiver"],
            log=directory / "receiver.log",
            environment={
                **os.environ,
                "ENCLAVE_DATA": str(directory),
                "ENCLAVE_HTTP_PORT": str(port),
                "ENCLAVE_SSH_PORT": str(free_port()),
            },
        )
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=60)
        self._receiver.wait_ready(self._answers, seconds=_READY_SECONDS)
        self.made: list[App] = []
        self._fill(self.store.people.create_user("ann@example.com", "a password of hers"))

    def close(self) -> None:
        """End receiver and Redis."""
        self._client.close()
        self._receiver.kill()
        self._redis.kill()

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Body:
        """Return what is answered; raises ``httpx.HTTPStatusError`` when it is refused."""
        answer: Body = self._client.request(method, path, json=body).raise_for_status().json()
        return answer

    def any_app(self) -> App:
        """Return an app, by chance."""
        return random.choice(self.made)

    def _answers(self) -> bool:
        try:
            return self._client.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def _fill(self, user: User) -> None:
        token = issue_token(self.store, user, url=self.url, seconds=_TOKEN_SECONDS, scope="manage")
        self._client.headers["Authorization"] = f"Bearer {token.access_token}"
        environment = self.store.apps.create_environment("prod")
        self.store.people.set_role(user, environment.id, Role.ADMIN)
        with ThreadPoolExecutor(_MAKERS) as makers:
            make = partial(self._deployed, environment, user)
            self.made = list(makers.map(make, range(self.apps)))

    def _deployed(self, environment: Environment, user: User, number: int) -> App:
        app = self.store.apps.create(environment, f"app-{number:05}")
        for count in range(1, _OPERATIONS + 1):
            request = OperationRequest(app.id, OperationType.DEPLOY, user.id, user.email)
            operation = self.store.operations.submit(request, Changes(image="nginx:1"))
            lease = self.store.leases.take(app.id, holder=f"bench-{operation.id}", seconds=60)
            if lease is None:
                raise RuntimeError(f"nothing could be taken of {app.name}")
            ending = Ending(
                OperationStatus.SUCCEEDED,
                "Deploy succeeded.",
                state=AppState("nginx:1", services=_SERVICES, detached=True, release=count),
                secrets=AppSecrets({"COLOUR": "red", "SIZE": str(count)}),
                release=_release(app, operation.id, count, user),
            )
            self.store.leases.finish(lease, ending)
        for service in _SERVICES:  # each gets its number when it is first shown
            self.store.service_ids.number(app.id, service.process_type)
        return app


def _release(app: App, operation_id: int, number: int, user: User) -> Release:
    return Release(
        number=number,
        app_id=app.id,
        operation_id=operation_id,
        fence="1",
        user_email=user.email,
        created_at="2026-01-01T00:00:00.000Z",
        image="nginx:1",
        pinned=f"docker.io/library/nginx@{_DIGEST}",
        image_id="sha256:1",
        pushed=None,
        services=(),
        sealed_configuration="",
        detached=True,
        exposed_ports=(80,),
    )
