"""The HTTP API as its clients meet it (API.md), over a real Redis."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.application import create_api
from api.middleware import BODY_BYTES
from enclave.app import App, AppSecrets, AppState, Service
from enclave.credentials import RegistryCredentials
from enclave.operation import (
    ZERO_ID,
    OperationRequest,
    OperationStatus,
    OperationType,
    RefUpdate,
    Source,
)
from enclave.people import Environment, Role, User
from enclave.pushed_config import PushedConfig
from enclave.release import Release
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from enclave.store.pushes import PushRequest
from enclave.tokens import issue_token
from testbed.processes import wait_until

ROOT = "http://enclave.example:8080"
A = "a" * 40
DIGEST = "sha256:" + "d" * 64
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK me@home"
FORM = {"grant_type": "password", "username": "me@example.com", "password": "correct horse"}
IMAGE = "registry.example.com:5000/team/web:2"
SETTINGS = {"APTIBLE_DOCKER_IMAGE": IMAGE}
USERNAME = {"APTIBLE_PRIVATE_REGISTRY_USERNAME": "robot"}
PASSWORD = {"APTIBLE_PRIVATE_REGISTRY_PASSWORD": "hunter2"}
SENSITIVE = {**USERNAME, **PASSWORD}
UNKNOWN = {
    "code": 404,
    "error": "not_found",
    "message": "There is no such resource, or you may not see it.",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, public_url=ROOT, keepalive_seconds=0.1)


@pytest.fixture
def api(store: Store, settings: Settings) -> FastAPI:
    return create_api(store, settings)


@pytest.fixture
def user(store: Store) -> User:
    return store.people.create_user("me@example.com", "correct horse")


@pytest.fixture
def environment(store: Store, user: User) -> Environment:
    environment = store.apps.create_environment("prod")
    store.people.set_role(user, environment.id, Role.ADMIN)
    return environment


@pytest.fixture
def app(store: Store, environment: Environment) -> App:
    return store.apps.create(environment, "web")


@pytest.fixture
def anyone(api: FastAPI) -> Iterator[TestClient]:
    """Someone without a token."""
    with TestClient(api, base_url=ROOT, raise_server_exceptions=False) as client:
        yield client


def client_of(api: FastAPI, store: Store, user: User) -> TestClient:
    token = issue_token(store, user, url=ROOT, seconds=60, scope="manage").access_token
    headers = {"Authorization": f"Bearer {token}"}
    return TestClient(api, base_url=ROOT, headers=headers, raise_server_exceptions=False)


@pytest.fixture
def me(api: FastAPI, store: Store, user: User) -> TestClient:
    return client_of(api, store, user)


@pytest.fixture
def stranger(api: FastAPI, store: Store) -> TestClient:
    return client_of(api, store, store.people.create_user("other@example.com", "correct horse"))


def follow(client: TestClient, resource: dict[str, Any], relation: str) -> dict[str, Any]:
    answer = client.get(resource["_links"][relation]["href"])
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def deploy(client: TestClient, app: App, **body: object) -> httpx.Response:
    answer: httpx.Response = client.post(
        f"/apps/{app.id}/operations", json={"type": "deploy", **body}
    )
    return answer


def take(store: Store, app: App) -> Lease:
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    return lease


def put_live(store: Store, app: App, *, configuration: dict[str, str] | None = None) -> None:
    """Let an operation of the app succeed: release 1 with two services."""
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
    operation = store.operations.submit(request, store.operations.changes(0))
    release = Release(
        number=1,
        app_id=app.id,
        operation_id=operation.id,
        fence="1",
        user_email="me@example.com",
        created_at="2017-01-01T00:00:00.000Z",
        image="nginx:1",
        pinned=f"docker.io/library/nginx@{DIGEST}",
        image_id="sha256:1",
        pushed=PushedConfig(A),
        services=(),
        sealed_configuration="",
    )
    services = (Service("web", None, 1), Service("worker", "run it", 2))
    state = AppState("nginx:1", PushedConfig(A), services=services, release=1)
    secrets = AppSecrets(configuration or {})
    store.leases.finish(
        take(store, app), Ending(OperationStatus.SUCCEEDED, "", False, state, secrets, release)
    )


def store_branch(store: Store, app: App, branch: str, config: PushedConfig) -> None:
    moved = RefUpdate(f"refs/heads/{branch}", ZERO_ID, config.commit, config)
    store.pushes.accept(PushRequest(f"push-{branch}", app.id, False, (moved,)))


class TestRoot:
    def test_it_links_to_the_collections_without_a_token(self, anyone: TestClient) -> None:
        root = anyone.get("/").json()
        assert root["_links"]["accounts"] == {"href": f"{ROOT}/accounts"}
        assert {"self", "apps", "tokens", "stacks"} <= set(root["_links"])

    def test_security_headers_and_no_cors(self, me: TestClient) -> None:
        for path in ("/", "/docs", "/nowhere", "/accounts"):
            headers = me.get(path, headers={"Origin": "https://evil.example"}).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "access-control-allow-origin" not in headers

    def test_docs(self, anyone: TestClient) -> None:
        assert "swagger" in anyone.get("/docs").text
        assert "/apps/{app_id}/operations" in anyone.get("/openapi.json").json()["paths"]


class TestHealth:
    def test_redis_answers(self, anyone: TestClient) -> None:
        assert anyone.get("/healthz").json() == {"status": "ok"}

    def test_redis_does_not(self, store: Store, settings: Settings) -> None:
        store.database.url = f"unix://{settings.data}/nobody"
        with TestClient(create_api(store, settings)) as client:
            answer = client.get("/healthz")
        assert answer.status_code == 503
        assert answer.json()["error"] == "store_unavailable"
        assert "nobody" not in answer.text


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "status", "error"),
        [
            ("GET", "/nowhere", 404, "not_found"),
            ("GET", "/apps/", 404, "not_found"),
            ("GET", "/apps/x", 404, "not_found"),
            ("GET", "/apps/-1", 404, "not_found"),
            ("GET", "/apps/99999999999999999999999999", 404, "not_found"),
            ("DELETE", "/apps", 405, "method_not_allowed"),
            ("GET", "/apps?page=0", 422, "unprocessable_entity"),
            ("GET", "/find/app", 422, "unprocessable_entity"),
        ],
    )
    def test_always_an_object(
        self, me: TestClient, method: str, path: str, status: int, error: str
    ) -> None:
        answer = me.request(method, path)
        body = answer.json()
        assert (answer.status_code, body["code"], body["error"]) == (status, status, error)
        assert isinstance(body["message"], str)
        assert body["message"]
        assert set(body) == {"code", "error", "message"}

    def test_unknown_fields_of_bodies_are_named_but_values_never(
        self, me: TestClient, app: App
    ) -> None:
        answer = deploy(me, app, sensitive_settings={"APTIBLE_X": ["hunter2"]}, env={"A": 7})
        assert answer.status_code == 422
        assert "sensitive_settings.APTIBLE_X" in answer.json()["message"]
        assert "env.A" in answer.json()["message"]
        assert "hunter2" not in answer.text

    @pytest.mark.parametrize("body", [b"", b"[", b"[" * 100_000, b"\xff", b"null", b'"x"', b"[1]"])
    def test_bodies_that_are_no_object(self, me: TestClient, app: App, body: bytes) -> None:
        for path in (f"/apps/{app.id}/operations", "/tokens"):
            answer = me.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), answer.text
            assert answer.json()["code"] == answer.status_code

    def test_a_surprise_tells_an_id_that_stands_in_the_log(
        self,
        me: TestClient,
        store: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def broken(_user: User) -> list[int]:
            raise RuntimeError("secret internals")

        monkeypatch.setattr(store.people, "environments_of", broken)
        with caplog.at_level(logging.ERROR, "enclave.api"):
            answer = me.get("/accounts")
        assert answer.status_code == 500
        assert answer.json()["error"] == "internal_error"
        assert "internals" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        number = answer.json()["message"].split()[-1].rstrip(".")
        assert f"error {number} at GET /accounts" in caplog.text

    def test_redis_lost_is_503_without_internals(
        self, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("enclave.store.database._ATTEMPTS", 0)
        lost = Store(f"unix://{settings.data}/nobody", store.sealer)
        with TestClient(create_api(lost, settings)) as client:
            answer = client.post("/tokens", data={"username": "a@b.c", "password": "x" * 8})
        assert answer.status_code == 503
        assert answer.json()["error"] == "store_unavailable"
        assert "nobody" not in answer.text

    def test_a_body_of_more_than_a_mebibyte_is_refused(self, me: TestClient, app: App) -> None:
        fits = deploy(me, app, docker_image="x", unknown="x" * (BODY_BYTES - 200))
        assert fits.status_code == 422  # nothing to deploy from
        answer = deploy(me, app, unknown="x" * BODY_BYTES)
        assert answer.status_code == 413
        assert answer.json()["error"] == "payload_too_large"


class TestTokens:
    def test_the_ruby_clients_form(self, anyone: TestClient, user: User) -> None:
        form = {**FORM, "scope": "manage", "expires_in": "604800", "client_id": "x"}
        answer = anyone.post("/tokens", data=form)
        token = answer.json()
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "application/json"
        assert (token["_type"], token["token_type"], token["scope"]) == (
            "token",
            "bearer",
            "manage",
        )
        assert token["expires_in"] == 604800
        assert isinstance(token["expires_at"], int)
        assert token["created_at"].endswith("Z")
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        shown = anyone.get(token["_links"]["user"]["href"], headers=headers).json()
        assert shown["email"] == user.email

    def test_the_python_clients_json(self, anyone: TestClient, user: User) -> None:
        answer = anyone.post("/tokens", json=FORM)
        assert answer.status_code == 201
        assert answer.json()["expires_in"] == 7 * 86400
        assert answer.json()["_links"]["user"]["href"] == f"{ROOT}/users/{user.id}"

    @pytest.mark.usefixtures("user")
    def test_no_token_lives_longer_than_90_days(self, anyone: TestClient) -> None:
        answer = anyone.post("/tokens", data={**FORM, "expires_in": str(10**12)})
        assert answer.json()["expires_in"] == 90 * 86400

    @pytest.mark.usefixtures("user")
    def test_wrong_password_and_unknown_user_look_the_same(self, anyone: TestClient) -> None:
        wrong = anyone.post("/tokens", data={**FORM, "password": "nope"})
        unknown = anyone.post("/tokens", data={**FORM, "username": "who@example.com"})
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json() == unknown.json()
        assert wrong.json()["error"] == "invalid_credentials"

    @pytest.mark.usefixtures("user")
    @pytest.mark.parametrize(
        "changed",
        [
            {"grant_type": "refresh_token"},
            {"scope": "all"},
            {"expires_in": "soon"},
            {"expires_in": "0"},
            {"password": "p" * 5000},
        ],
    )
    def test_what_cannot_be_given(self, anyone: TestClient, changed: dict[str, str]) -> None:
        answer = anyone.post("/tokens", data={**FORM, **changed})
        assert answer.status_code == 422
        assert next(iter(changed)) in answer.json()["message"]
        assert "correct horse" not in answer.text

    @pytest.mark.parametrize(
        ("header", "error"),
        [
            (None, "invalid_token"),
            ("Bearer x", "invalid_token"),
            ("Bearer", "invalid_token"),
            ("Basic eDp5", "invalid_token"),
        ],
    )
    def test_requests_without_a_good_one(
        self, anyone: TestClient, app: App, header: str | None, error: str
    ) -> None:
        for method, path in [
            ("GET", "/apps"),
            ("GET", f"/apps/{app.id}"),
            ("POST", f"/apps/{app.id}/operations"),
            ("GET", "/operations/1/events"),
            ("GET", "/reauthenticate_organizations"),
        ]:
            answer = anyone.request(
                method, path, headers={"Authorization": header} if header else {}
            )
            assert (answer.status_code, answer.json()["error"]) == (401, error)
            assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.usefixtures("user")
    def test_revoking(self, anyone: TestClient, stranger: TestClient) -> None:
        token = anyone.post("/tokens", data=FORM).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        address = token["_links"]["self"]["href"]
        assert stranger.delete(address).json() == UNKNOWN
        assert anyone.delete(address, headers=headers).status_code == 200
        assert anyone.get("/apps", headers=headers).json()["error"] == "invalid_token"


class TestPeople:
    def test_everyone_sees_themselves_alone(
        self, me: TestClient, stranger: TestClient, user: User
    ) -> None:
        assert me.get(f"/users/{user.id}").json()["email"] == user.email
        for path in (f"/users/{user.id}", f"/users/{user.id}/ssh_keys"):
            assert stranger.get(path).json() == UNKNOWN
        assert stranger.post(f"/users/{user.id}/ssh_keys", json={"ssh_public_key": KEY}).json() == (
            UNKNOWN
        )

    def test_ssh_keys(self, me: TestClient, stranger: TestClient, user: User, store: Store) -> None:
        listed = me.get(f"/users/{user.id}/ssh_keys").json()
        created = me.post(listed["_links"]["self"]["href"], json={"ssh_public_key": KEY})
        assert created.status_code == 201
        key = created.json()
        assert key["_type"] == "ssh_key"
        assert key["public_key_fingerprint"].startswith("SHA256:")
        assert store.people.user_by_fingerprint(key["public_key_fingerprint"]) == user
        assert follow(me, listed, "self")["_embedded"]["ssh_keys"] == [key]
        address = key["_links"]["self"]["href"]
        assert me.get(address).json() == key
        assert stranger.get(address).json() == stranger.delete(address).json() == UNKNOWN
        again = me.post(f"/users/{user.id}/ssh_keys", json={"ssh_public_key": KEY})
        assert again.status_code == 409
        assert me.delete(address).json() == key
        assert me.get(address).json() == UNKNOWN

    def test_what_is_no_key(self, me: TestClient, user: User) -> None:
        for text in ("", "ssh-rsa", "ssh-rsa !", "ssh-ed25519 AAAA"):
            answer = me.post(f"/users/{user.id}/ssh_keys", json={"ssh_public_key": text})
            assert answer.status_code == 422

    def test_nobody_has_to_log_in_again(self, me: TestClient) -> None:
        body = me.get("/reauthenticate_organizations").json()
        assert body["_embedded"] == {"reauthenticate_organizations": []}
        assert body["total_count"] == 0


class TestAccounts:
    def test_listed_shown_found(self, me: TestClient, environment: Environment) -> None:
        listed = me.get("/accounts?per_page=5000&no_embed=true").json()
        assert "_type" not in listed
        (account,) = listed["_embedded"]["accounts"]
        assert (account["_type"], account["id"], account["handle"]) == (
            "account",
            environment.id,
            "prod",
        )
        assert me.get(f"/accounts/{environment.id}").json() == account
        assert me.get("/find/account?handle=prod").json() == account
        assert follow(me, account, "stack")["_type"] == "stack"
        assert follow(me, account, "organization")["_type"] == "organization"

    def test_strangers_see_none(self, stranger: TestClient, environment: Environment) -> None:
        assert stranger.get("/accounts").json()["_embedded"] == {"accounts": []}
        for path in (
            f"/accounts/{environment.id}",
            "/accounts/999",
            f"/accounts/{environment.id}/apps",
            "/find/account?handle=prod",
            "/find/account?handle=nope",
            "/stacks/2",
            "/organizations/2",
        ):
            answer = stranger.get(path)
            assert (answer.status_code, answer.json()) == (404, UNKNOWN)


class TestApps:
    def test_create_where_the_collection_says(
        self, me: TestClient, environment: Environment
    ) -> None:
        account = me.get(f"/accounts/{environment.id}").json()
        listed = follow(me, account, "apps")
        assert listed["_embedded"] == {"apps": []}
        created = me.post(listed["_links"]["self"]["href"], json={"handle": "web", "x": 1})
        assert created.status_code == 201
        app = created.json()
        assert app["_type"] == "app"
        assert app["handle"] == "web"
        assert app["status"] == "pending"
        assert app["git_repo"] == "ssh://git@localhost:8022/prod/web.git"
        assert app["_embedded"] == {
            "services": [],
            "current_image": None,
            "last_operation": None,
            "last_deploy_operation": None,
        }
        assert "current_configuration" not in app["_links"]
        assert follow(me, account, "apps")["_embedded"]["apps"] == [app]
        assert me.get("/apps?no_embed=true").json()["_embedded"]["apps"] == [app]

    def test_what_cannot_be_created(self, me: TestClient, app: App) -> None:
        path = f"/accounts/{app.environment_id}/apps"
        taken = me.post(path, json={"handle": "web"})
        assert (taken.status_code, taken.json()["error"]) == (409, "conflict")
        for handle in ("", "Web", "a b", "internal-x", "x" * 65, 7, None):
            assert me.post(path, json={"handle": handle}).status_code == 422

    def test_the_remote_on_port_22(self, store: Store, user: User, app: App) -> None:
        settings = Settings(ssh_public_host="git.example.com", ssh_port=22)
        client = client_of(create_api(store, settings), store, user)
        assert client.get(f"/apps/{app.id}").json()["git_repo"] == (
            "git@git.example.com:prod/web.git"
        )

    def test_a_live_app(self, me: TestClient, store: Store, app: App) -> None:
        put_live(store, app, configuration={"KEY": "value"})
        shown = me.get(f"/apps/{app.id}?no_embed=true").json()
        assert shown["status"] == "provisioned"
        embedded = shown["_embedded"]
        assert [each["process_type"] for each in embedded["services"]] == ["web", "worker"]
        assert embedded["services"][0]["command"] is None
        assert embedded["services"][1]["container_count"] == 2
        assert embedded["current_image"]["docker_repo"] == "docker.io/library/nginx"
        assert embedded["current_image"]["docker_ref"] == DIGEST
        assert embedded["current_image"]["git_ref"] == A
        assert embedded["last_operation"]["status"] == "succeeded"
        assert embedded["last_operation"] == embedded["last_deploy_operation"]
        assert follow(me, shown, "services")["_embedded"]["services"] == embedded["services"]
        assert follow(me, shown, "current_configuration")["env"] == {"KEY": "value"}
        assert follow(me, shown, "configurations")["total_count"] == 1
        assert follow(me, shown, "images")["_embedded"]["images"] == [embedded["current_image"]]
        assert follow(me, embedded["services"][1], "self") == embedded["services"][1]
        assert follow(me, embedded["current_image"], "self") == embedded["current_image"]

    def test_finding(self, me: TestClient, store: Store, user: User, app: App) -> None:
        shown = me.get(f"/apps/{app.id}").json()
        assert me.get("/find/app?handle=web").json() == shown
        second = store.apps.create_environment("dev")
        store.people.set_role(user, second.id, Role.READ)
        store.apps.create(second, "web")
        answer = me.get("/find/app?handle=web")
        assert (answer.status_code, answer.json()["error"]) == (409, "multiple_resources_found")
        assert me.get("/find/app?handle=web&environment=prod").json() == shown
        assert me.get("/find/app?handle=web&environment=nope").json() == UNKNOWN
        assert me.get("/find/app?handle=nope").json() == UNKNOWN

    def test_paging(self, me: TestClient, store: Store, environment: Environment) -> None:
        handles = [f"app-{number}" for number in range(5)]
        for handle in handles:
            store.apps.create(environment, handle)
        seen, address = [], f"/accounts/{environment.id}/apps?per_page=2"
        sizes = []
        while address:
            page = me.get(address).json()
            seen += [app["handle"] for app in page["_embedded"]["apps"]]
            sizes.append(len(page["_embedded"]["apps"]))
            assert page["_links"]["self"]["href"] == f"{ROOT}/accounts/{environment.id}/apps"
            assert (page["total_count"], page["per_page"]) == (5, 2)
            address = page["_links"].get("next", {}).get("href")
        assert (seen, sizes) == (handles, [2, 2, 1])
        beyond = me.get("/apps?page=9").json()
        assert beyond["_embedded"] == {"apps": []}

    def test_operations_are_paged_newest_first(self, me: TestClient, app: App) -> None:
        ids = [deploy(me, app, settings={"APTIBLE_DOCKER_IMAGE": "x"}).json()["id"] for _ in "abc"]
        first = me.get(f"/apps/{app.id}/operations?per_page=2").json()
        assert first["total_count"] == 3
        assert first["_links"]["self"]["href"] == f"{ROOT}/apps/{app.id}/operations"
        second = follow(me, first, "next")
        listed = first["_embedded"]["operations"] + second["_embedded"]["operations"]
        assert [each["id"] for each in listed] == ids[::-1]
        assert "next" not in second["_links"]


class TestWhoMayWhat:
    def test_a_stranger_cannot_tell_foreign_from_unknown(
        self, stranger: TestClient, me: TestClient, store: Store, app: App
    ) -> None:
        put_live(store, app, configuration={"A": "1"})
        service = me.get(f"/apps/{app.id}").json()["_embedded"]["services"][0]["id"]
        operation = deploy(me, app).json()["id"]
        requests: list[tuple[str, str]] = [
            ("GET", f"/{kind}/{{}}{rest}")
            for kind, rest in [
                ("apps", ""),
                ("apps", "/operations"),
                ("apps", "/services"),
                ("apps", "/images"),
                ("apps", "/configurations"),
                ("services", ""),
                ("configurations", ""),
                ("images", ""),
                ("operations", ""),
                ("operations", "/logs"),
                ("operations", "/events"),
            ]
        ] + [("POST", "/apps/{}/operations"), ("PUT", "/operations/{}")]
        existing = {"service": service, "operation": operation}
        for method, path in requests:
            kind = path.split("/")[1].rstrip("s")
            for number in (existing.get(kind, app.id), 999_999):
                body = {"type": "deploy", "cancelled": True}
                answer = stranger.request(method, path.format(number), json=body)
                assert (answer.status_code, answer.json()) == (404, UNKNOWN), path
        foreign = stranger.get("/find/app?handle=web&environment=prod").json()
        assert foreign == stranger.get("/find/app?handle=web").json() == UNKNOWN
        assert stranger.get("/apps").json()["_embedded"] == {"apps": []}

    @pytest.mark.parametrize(
        ("role", "statuses"),
        [(Role.READ, (403, 403)), (Role.DEPLOY, (403, 201)), (Role.ADMIN, (201, 201))],
    )
    def test_roles(
        self, me: TestClient, store: Store, app: App, role: Role, statuses: tuple[int, int]
    ) -> None:
        may_create, may_deploy = statuses
        operation = deploy(me, app, settings=SETTINGS).json()["id"]
        store.members.add(app.environment_id, "another@example.com", Role.ADMIN)
        store.people.set_role(
            store.people.user_by_email("me@example.com"), app.environment_id, role
        )
        assert me.get(f"/apps/{app.id}").status_code == 200
        assert me.get(f"/operations/{operation}").status_code == 200
        created = me.post(f"/accounts/{app.environment_id}/apps", json={"handle": "new"})
        assert created.status_code == may_create
        assert deploy(me, app, settings=SETTINGS).status_code == may_deploy
        cancelled = me.put(f"/operations/{operation}", json={"cancelled": True})
        assert cancelled.status_code == (200 if may_deploy == 201 else 403)


class TestDeploys:
    def test_both_generations_of_the_toolbelt_ask_for_the_same(
        self, me: TestClient, store: Store, environment: Environment
    ) -> None:
        new: dict[str, object] = {
            "settings": SETTINGS,
            "sensitive_settings": SENSITIVE,
            "env": {"A": "1"},
        }
        old: dict[str, object] = {
            "env": {
                **SETTINGS,
                **SENSITIVE,
                "APTIBLE_PRIVATE_REGISTRY_EMAIL": "me@example.com",
                "A": "1",
            }
        }
        asked = []
        bodies: dict[str, dict[str, object]] = {"new": new, "old": old}
        for handle, body in bodies.items():
            app = store.apps.create(environment, handle)
            answer = deploy(me, app, container_count=3, **body)
            assert answer.status_code == 201
            assert "hunter2" not in answer.text
            asked.append(store.operations.changes(answer.json()["id"]))
        assert asked[0] == asked[1]
        (changes, _) = asked
        assert changes.image == IMAGE
        assert changes.credentials == RegistryCredentials(
            "registry.example.com:5000", "robot", "hunter2"
        )
        assert changes.environment == {"A": "1"}  # nothing of APTIBLE_ reaches a container
        assert changes.container_count == 3

    def test_the_answer_is_the_operation(self, me: TestClient, app: App) -> None:
        listed = me.get(f"/apps/{app.id}/operations").json()
        body = {"type": "deploy", "settings": SETTINGS, "unheard_of": {}}
        answer = me.post(listed["_links"]["self"]["href"], json=body)
        operation = answer.json()
        assert answer.status_code == 201
        assert operation["_type"] == "operation"
        assert (operation["type"], operation["status"], operation["cancelled"]) == (
            "deploy",
            "queued",
            False,
        )
        assert operation["git_ref"] is None
        assert operation["user_email"] == "me@example.com"
        assert operation["created_at"] == operation["updated_at"]
        assert follow(me, operation, "self") == operation
        assert follow(me, operation, "resource")["_embedded"]["last_operation"] == operation

    def test_nothing_to_deploy_from(self, me: TestClient, store: Store, app: App) -> None:
        bodies: list[dict[str, object]] = [
            {},
            {"env": {"A": "1"}},
            {"git_ref": ZERO_ID},
            {"settings": {}},
        ]
        for body in bodies:
            answer = deploy(me, app, **body)
            assert answer.status_code == 422
            assert answer.json()["message"] == (
                "You need to deploy either from git or a Docker image"
            )
        assert store.operations.unfinished(app.id) == []

    def test_what_waits_is_counted(self, me: TestClient, app: App) -> None:
        assert deploy(me, app, settings=SETTINGS).status_code == 201
        assert deploy(me, app).status_code == 201
        # Credentials alone belong to the image that waits.
        assert deploy(me, app, sensitive_settings=SENSITIVE).status_code == 201
        assert deploy(me, app, settings={"APTIBLE_DOCKER_IMAGE": ""}).status_code == 422

    @pytest.mark.parametrize(
        "body",
        [
            {"settings": {"APTIBLE_DOCKER_IMAGE": "Not An Image"}},
            {"settings": SETTINGS, "sensitive_settings": USERNAME},
            {"settings": SETTINGS, "sensitive_settings": PASSWORD},
            {"settings": SETTINGS, "sensitive_settings": dict.fromkeys(USERNAME, "")},
            {"sensitive_settings": SENSITIVE},
            {"settings": SETTINGS, "env": {"A B": "1"}},
            {"settings": SETTINGS, "env": {"": "1"}},
            {"settings": SETTINGS, "env": {"A": "\0"}},
            {"settings": SETTINGS, "env": {"A": "\ud800"}},
            {"settings": SETTINGS, "container_count": -1},
            {"settings": SETTINGS, "container_count": 10**6},
            {"settings": SETTINGS, "container_count": "many"},
            {"settings": SETTINGS, "git_ref": "never-pushed"},
            {"settings": SETTINGS, "git_ref": "../../etc/passwd\n"},
            {"settings": SETTINGS, "git_ref": 7},
            {"settings": "x"},
            {"type": "restart"},
            {"type": None},
            {"type": "x" * 1000},
        ],
    )
    def test_what_cannot_be_accepted_is_422_and_no_operation(
        self, me: TestClient, store: Store, app: App, body: dict[str, object]
    ) -> None:
        text = json.dumps({"type": "deploy", **body})
        headers = {"Content-Type": "application/json"}
        answer = me.post(f"/apps/{app.id}/operations", content=text, headers=headers)
        assert answer.status_code == 422, answer.text
        assert answer.json()["message"]
        assert "hunter2" not in answer.text
        assert store.operations.unfinished(app.id) == []

    def test_null_and_empty_unset(self, me: TestClient, store: Store, app: App) -> None:
        answer = deploy(me, app, settings=SETTINGS, env={"A": None, "B": ""}, git_ref=None)
        assert answer.status_code == 201
        assert store.operations.changes(answer.json()["id"]).environment == {"A": "", "B": ""}

    def test_removing_credentials(self, me: TestClient, store: Store, app: App) -> None:
        empty = dict.fromkeys(SENSITIVE, "")
        answer = deploy(me, app, settings=SETTINGS, sensitive_settings=empty)
        changes = store.operations.changes(answer.json()["id"])
        assert (changes.credentials, changes.forget_credentials) == (None, True)

    def test_a_commitish(self, me: TestClient, store: Store, app: App) -> None:
        config = PushedConfig(A, "web: run", dockerfile=True)
        store_branch(store, app, "feature", config)
        answer = deploy(me, app, git_ref="feature")
        assert answer.status_code == 201
        assert answer.json()["git_ref"] == A
        request = store.operations.operation(answer.json()["id"]).request
        assert (request.source, request.pushed) == (Source.COMMIT, config)
        assert deploy(me, app).status_code == 201  # the projected commit can be built

    def test_a_commit_that_can_neither_be_built_nor_needs_to(
        self, me: TestClient, store: Store, app: App
    ) -> None:
        store_branch(store, app, "feature", PushedConfig(A, "web: run"))
        answer = deploy(me, app, git_ref="feature")
        assert answer.status_code == 422
        assert "aaaaaaaa has no Dockerfile" in answer.json()["message"]
        assert deploy(me, app, git_ref="feature", settings=SETTINGS).status_code == 201

    def test_detaching(self, me: TestClient, store: Store, app: App) -> None:
        answer = deploy(me, app, git_ref=ZERO_ID, settings=SETTINGS)
        assert answer.json()["git_ref"] == ZERO_ID
        request = store.operations.operation(answer.json()["id"]).request
        assert (request.source, request.pushed) == (Source.DETACH, None)


class TestCancelling:
    def test_a_waiting_operation_and_again(self, me: TestClient, app: App) -> None:
        address = deploy(me, app, settings=SETTINGS).json()["_links"]["self"]["href"]
        for _ in range(2):  # clients retry PUT
            answer = me.put(address, json={"cancelled": True})
            assert answer.status_code == 200
            assert (answer.json()["status"], answer.json()["cancelled"]) == ("failed", True)

    def test_a_running_operation(self, me: TestClient, store: Store, app: App) -> None:
        operation = deploy(me, app, settings=SETTINGS).json()
        take(store, app)
        answer = me.put(f"/operations/{operation['id']}", json={"cancelled": True})
        assert (answer.json()["status"], answer.json()["cancelled"]) == ("running", True)
        assert store.operations.wait_for_control(operation["id"], seconds=1)

    def test_an_ended_operation(self, me: TestClient, store: Store, app: App) -> None:
        put_live(store, app)
        operation = me.get(f"/apps/{app.id}").json()["_embedded"]["last_operation"]
        answer = me.put(f"/operations/{operation['id']}", json={"cancelled": True})
        assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
        assert "succeeded" in answer.json()["message"]

    def test_nothing_else_can_be_changed(self, me: TestClient, app: App) -> None:
        operation = deploy(me, app, settings=SETTINGS).json()
        for body in ({}, {"cancelled": False}, {"cancelled": "perhaps"}, {"status": "failed"}):
            answer = me.put(f"/operations/{operation['id']}", json=body)
            assert answer.status_code == 422


class TestLogs:
    @pytest.fixture
    def lease(self, me: TestClient, store: Store, app: App) -> Lease:
        deploy(me, app, settings={"APTIBLE_DOCKER_IMAGE": "nginx"})
        return take(store, app)

    def test_a_url_that_opens_the_log_without_a_token_of_a_user(
        self, me: TestClient, anyone: TestClient, store: Store, lease: Lease
    ) -> None:
        store.logs.append(lease, ["INFO: one", "ünï"])
        address = me.get(f"/operations/{lease.operation_id}/logs").text
        assert urlsplit(address).path == f"/operations/{lease.operation_id}/log"
        answer = anyone.get(address)
        assert answer.text == "INFO: one\nünï\n"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
        assert anyone.get(address).text == "INFO: one\nünï\n"

    def test_a_url_for_one_log_opens_no_other(
        self, me: TestClient, anyone: TestClient, lease: Lease
    ) -> None:
        address = me.get(f"/operations/{lease.operation_id}/logs").text
        token = address.partition("token=")[2]
        other = f"/operations/{lease.operation_id + 1}/log"
        assert anyone.get(f"{other}?token={token}").status_code == 401
        assert anyone.get(f"{other}?token=x").status_code == 401
        assert anyone.get(other).status_code == 422
        headers = {"Authorization": f"Bearer {token}"}
        assert anyone.get("/apps", headers=headers).status_code == 401

    def test_a_long_log(
        self, me: TestClient, anyone: TestClient, store: Store, lease: Lease
    ) -> None:
        lines = [f"line {number}" for number in range(1234)]
        store.logs.append(lease, lines)
        address = me.get(f"/operations/{lease.operation_id}/logs").text
        assert anyone.get(address).text.splitlines() == lines


class TestEvents:
    """Over loopback: the test client would hand out a stream only when it is whole."""

    @pytest.fixture
    def lease(self, store: Store, app: App, user: User) -> Lease:
        request = OperationRequest(app.id, OperationType.DEPLOY, user.id, user.email)
        store.operations.submit(request, store.operations.changes(0))
        return take(store, app)

    @pytest.fixture
    def address(self, served: str, lease: Lease) -> str:
        return f"{served}/operations/{lease.operation_id}/events"

    @pytest.fixture
    def client(self, store: Store, user: User) -> Iterator[httpx.Client]:
        token = issue_token(store, user, url=ROOT, seconds=60, scope="manage").access_token
        limits = httpx.Limits(max_connections=None)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(headers=headers, limits=limits, timeout=10) as client:
            yield client

    def events(self, client: httpx.Client, address: str, **query: str) -> list[dict[str, str]]:
        with client.stream("GET", address, params=query) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("application/x-ndjson")
            events = [json.loads(line) for line in answer.iter_lines()]
        return [event for event in events if "keepalive" not in event]

    def test_lines_come_as_they_are_written(
        self, client: httpx.Client, address: str, store: Store, lease: Lease
    ) -> None:
        store.logs.append(lease, ["one"])
        with client.stream("GET", address) as answer:
            lines = (json.loads(line) for line in answer.iter_lines())
            first = next(lines)
            assert first["line"] == "one"
            assert first["time"].endswith("Z")
            assert next(lines) == {"keepalive": True}
            store.logs.append(lease, ["two\u2028\x1b[1m"])
            assert next(event for event in lines if "line" in event)["line"] == "two\u2028\x1b[1m"
            store.leases.finish(lease, Ending(OperationStatus.SUCCEEDED, ""))
            assert [event["end"] for event in lines if "end" in event] == ["succeeded"]

    def test_resuming_behind_any_entry(
        self, client: httpx.Client, address: str, store: Store, lease: Lease
    ) -> None:
        store.logs.append(lease, [str(number) for number in range(700)])
        store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
        everything = self.events(client, address)
        assert [event.get("line") for event in everything[:-1]] == [str(n) for n in range(700)]
        for at in (0, 300, 699):
            after = everything[at]["id"]
            assert self.events(client, address, after=after) == everything[at + 1 :]

    def test_behind_the_end_there_is_the_end(
        self, client: httpx.Client, address: str, store: Store, lease: Lease
    ) -> None:
        store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
        (end,) = self.events(client, address)
        assert self.events(client, address, after=end["id"]) == [end]

    @pytest.mark.parametrize("after", ["$", "x", "1-", "-1", "1-2-3", "+", ">"])
    def test_what_is_no_entry(self, client: httpx.Client, address: str, after: str) -> None:
        assert client.get(address, params={"after": after}).status_code == 422

    def test_many_followers_see_the_same_and_leave_nothing(
        self, client: httpx.Client, address: str, store: Store, lease: Lease
    ) -> None:
        before = self._redis_clients(store)
        with ThreadPoolExecutor(30) as pool:
            followers = [pool.submit(self.events, client, address) for _ in range(30)]
            wait_until(
                lambda: self._redis_clients(store) >= before + 30, seconds=20, what="30 followers"
            )
            store.logs.append(lease, ["one", "two"])
            store.leases.finish(lease, Ending(OperationStatus.SUCCEEDED, ""))
            seen = [follower.result(20) for follower in followers]
        assert all(each == seen[0] for each in seen)
        assert len(seen[0]) == 3
        wait_until(lambda: self._redis_clients(store) <= before + 1, seconds=10, what="the end")

    def test_a_follower_that_goes_away_leaves_no_connection(
        self, client: httpx.Client, address: str, store: Store
    ) -> None:
        before = self._redis_clients(store)
        for _ in range(5):
            with client.stream("GET", address) as answer:
                next(answer.iter_raw())
        wait_until(lambda: self._redis_clients(store) <= before + 1, seconds=10, what="the end")

    def _redis_clients(self, store: Store) -> int:
        clients = store.database.raw.client_list()
        return sum("xread" in each["cmd"] or each["cmd"] == "NULL" for each in clients)
