"""One app behind the HTTP API, and people with roles in its environment who ask for things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient

from api.application import create_api
from enclave.app import App, AppSecrets, AppState, Service
from enclave.changes import Changes
from enclave.endpoint import EndpointStatus
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.people import Role, User
from enclave.pushed_config import PushedConfig
from enclave.release import Release
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending, EndpointEnd, Lease
from enclave.tokens import issue_token

ROOT = "http://enclave.example:8080"
A, B = "a" * 40, "b" * 40
DIGEST = "sha256:" + "d" * 64
UNKNOWN = {
    "code": 404,
    "error": "not_found",
    "message": "There is no such resource, or you may not see it.",
}


class ApiApp:
    """The app ``prod/web`` on a real store, and the API over it."""

    def __init__(self, store: Store, data: Path) -> None:
        self.store = store
        self.settings = Settings(data=data, public_url=ROOT)
        self.api = create_api(store, self.settings)
        self.environment = store.apps.create_environment("prod")
        self.admin = self.person(Role.ADMIN)
        self.created = store.apps.create(self.environment, "web")

    @property
    def app(self) -> App:
        return self.store.apps.app(self.created.id)

    @property
    def path(self) -> str:
        return f"/apps/{self.created.id}"

    def person(self, role: Role | None) -> TestClient:
        """Return a client of a new member with that role; of a stranger without one."""
        user = self.store.people.create_user(f"{role or 'stranger'}@example.com", "correct horse")
        if role is not None:
            self.store.people.set_role(user, self.environment.id, role)
        return self.client(user)

    def client(self, user: User) -> TestClient:
        issued = issue_token(self.store, user, url=ROOT, seconds=600, scope="manage")
        headers = {"Authorization": f"Bearer {issued.access_token}"}
        return TestClient(self.api, base_url=ROOT, headers=headers, raise_server_exceptions=False)

    def ask(self, type: str, **body: object) -> httpx.Response:
        """Ask for an operation on the app, as its admin."""
        return create_in(self.admin, f"{self.path}/operations", type=type, **body)

    def asked(self, answer: httpx.Response) -> tuple[OperationRequest, Changes]:
        """Return what an accepted answer has queued."""
        assert answer.status_code == 201, answer.text
        number = answer.json()["id"]
        operation = self.store.operations.operation(number)
        return operation.request, self.store.operations.changes(number)

    def take(self) -> Lease:
        lease = self.store.leases.take(self.created.id, holder="w1", seconds=60)
        assert lease is not None
        return lease

    def put_live(
        self,
        number: int = 1,
        *,
        image: str = "nginx:1",
        commit: str | None = A,
        detached: bool = False,
        services: tuple[Service, ...] = (Service("web", None, 1), Service("worker", "run", 2, 512)),
    ) -> Release:
        """Let a deploy succeed that makes a release of this number."""
        pushed = PushedConfig(commit) if commit else None
        request = OperationRequest(self.created.id, OperationType.DEPLOY, 1, "ann@example.com")
        operation = self.store.operations.submit(request, Changes())
        release = Release(
            number=number,
            app_id=self.created.id,
            operation_id=operation.id,
            fence="1",
            user_email="ann@example.com",
            created_at=f"2017-01-01T00:00:0{number % 10}.000Z",
            image=image,
            pinned=f"docker.io/library/nginx@{DIGEST}",
            image_id="sha256:1",
            pushed=pushed,
            services=(),
            sealed_configuration="",
            detached=detached,
            exposed_ports=(80, 3000),
        )
        state = AppState(image, pushed, detached, services, release=number)
        state = replace(state, endpoints=self.app.state.endpoints)
        ending = Ending(
            OperationStatus.SUCCEEDED, "", state=state, secrets=AppSecrets(), release=release
        )
        self.store.leases.finish(self.take(), ending)
        return release

    def provisioned(self, vhost: dict[str, Any]) -> None:
        """Let the operation succeed, or one made for it, that makes an endpoint as it is wished."""
        endpoint, _ = self.store.endpoints.endpoint(vhost["id"])
        if not self.store.operations.unfinished(self.created.id):
            type_ = OperationType.PROVISION
            request = OperationRequest(self.created.id, type_, 1, "ann@example.com")
            self.store.operations.submit(replace(request, endpoint=endpoint), Changes())
        others = [each for each in self.app.state.endpoints if each.id != endpoint.id]
        host = endpoint.host(self.settings.domain)
        ending = Ending(
            OperationStatus.SUCCEEDED,
            "",
            state=replace(self.app.state, endpoints=(*others, endpoint)),
            secrets=AppSecrets(),
            endpoints=(EndpointEnd(endpoint.id, EndpointStatus.PROVISIONED, host),),
        )
        self.store.leases.finish(self.take(), ending)

    def service(self, process_type: str = "web") -> dict[str, Any]:
        """Return the service as the app embeds it."""
        services = self.admin.get(self.path).json()["_embedded"]["services"]
        found: dict[str, Any] = next(
            each for each in services if each["process_type"] == process_type
        )
        return found


def create_in(client: TestClient, collection: str, **body: object) -> httpx.Response:
    """Create as clients do: POST to the self link of the collection."""
    listed = client.get(collection)
    if listed.status_code != 200:
        return listed
    answer: httpx.Response = client.post(listed.json()["_links"]["self"]["href"], json=body)
    return answer


def follow(client: TestClient, resource: dict[str, Any], relation: str) -> dict[str, Any]:
    """Return what a resource links to."""
    answer = client.get(resource["_links"][relation]["href"])
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
