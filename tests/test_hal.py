"""The API as its clients find it: from the root along links, in whatever state things are (API.md).

The tables are API.md's and ours; a client may rely on each line of them.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from hal_walker import Walk
from hal_world import WORLDS, Life, World
from hypothesis import HealthCheck, given, settings

from api.application import create_api
from enclave.operation import ZERO_ID
from enclave.people import User
from enclave.settings import Settings
from enclave.store import Store, keys

ROOT = "http://enclave.example:8080"
PASSWORD = "correct horse"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK me@home"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _time(value: object) -> bool:
    return isinstance(value, str) and TIME.fullmatch(value) is not None


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
        "created_at": _time,
    },
    "user": {"id": int, "email": str, "name": str, "created_at": _time},
    "ssh_key": {"id": int, "name": str, "ssh_public_key": str, "public_key_fingerprint": str},
    "organization": {"id": int, "name": str},
    "stack": {"id": int, "name": str, "region": str, "outbound_ip_addresses": _texts},
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
    "ssh_key": {"self", "user"},
    "organization": {"self", "accounts"},
    "stack": {"self"},
    "account": {"self", "apps", "certificates", "stack", "organization"},
    "app": {
        *("self", "account", "operations", "services", "configurations", "images"),
        *("releases", "vhosts"),
    },
    "operation": {"self", "account", "resource", "user", "logs", "events"},
    "service": {"self", "account", "app", "operations", "vhosts"},
    "configuration": {"self", "app"},
    "image": {"self", "app"},
    "vhost": {"self", "app", "operations"},
    "certificate": {"self", "account"},
    "release": {"self", "app", "operation"},
}
"""The links that are always there."""

CREATED_IN = {
    r"/accounts/\d+/apps",
    r"/accounts/\d+/certificates",
    r"/apps/\d+/operations",
    r"/services/\d+/operations",
    r"/services/\d+/vhosts",
    r"/vhosts/\d+/operations",
    r"/users/\d+/ssh_keys",
}
"""The collections that can be created in."""

EMBEDDED = {"services", "current_image", "last_operation", "last_deploy_operation"}


class Client:
    """Someone who knows the address, an email and a password, and HAL."""

    def __init__(self, store: Store, data: Path) -> None:
        self.http = TestClient(
            create_api(store, Settings(data=data, public_url=ROOT)), base_url=ROOT
        )
        self.root = self.http.get("/").json()

    def log_in(self, email: str) -> dict[str, Any]:
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        answer = self.http.post(self.root["_links"]["tokens"]["href"], data=form)
        assert answer.status_code == 201, answer.text
        token: dict[str, Any] = answer.json()
        self.http.headers["Authorization"] = f"Bearer {token['access_token']}"
        return token


@pytest.fixture
def cheap_store(store: Store) -> Store:
    store.people._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return store


def create_people(store: Store) -> tuple[User, User]:
    """Make two users, the first with an SSH key."""
    ann, bob = (
        store.people.create_user(f"{name}@example.com", PASSWORD) for name in ("ann", "bob")
    )
    store.people.add_key(ann, KEY, "laptop")
    return ann, bob


@given(WORLDS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_is_reached_and_is_as_documented(
    cheap_store: Store, tmp_path: Path, environments: list[list[Life]]
) -> None:
    store = cheap_store
    store.database.raw.flushdb()
    world = World(store, *create_people(store))
    for number, lives in enumerate(environments):
        world.environment(f"env.{number}-x", lives)
    client = Client(store, tmp_path)
    token = client.log_in(world.user.email)
    walk = Walk(client.http, f"{ROOT}/", token["_links"]["user"]["href"])

    for resource in [token, *walk.resources.values(), *walk.embedded]:
        if "_type" in resource:
            check_resource(resource)
    for address, resource in walk.resources.items():
        if "_type" in resource:
            check_self(client, address, resource)
    check_collections(client, walk)
    check_apps(client, walk, world)


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
    assert LINKS[type_] <= resource["_links"].keys(), type_


def check_self(client: Client, address: str, resource: dict[str, Any]) -> None:
    """A resource is the same wherever it is met, and its self link leads to it."""
    again = client.http.get(resource["_links"]["self"]["href"]).json()
    assert (again["_type"], again["id"]) == (resource["_type"], resource["id"]), address


def check_collections(client: Client, walk: Walk) -> None:
    for address in walk.collections:
        creates = any(re.fullmatch(ROOT + pattern, address) for pattern in CREATED_IN)
        status = client.http.post(address, json={}).status_code
        assert status == 422 if creates else status == 405, (address, status)
    for pattern in (r"/accounts/\d+/apps", r"/users/\d+/ssh_keys"):
        assert any(re.fullmatch(ROOT + pattern, address) for address in walk.collections), pattern


def check_apps(client: Client, walk: Walk, world: World) -> None:
    """All apps are reached but the deprovisioned ones, each with what it always embeds."""
    alive = {app.id for app in world.apps if app.status != "deprovisioned"}
    assert {app["id"] for app in walk.of_type("app")} >= alive
    for app in world.apps:
        shown = client.http.get(f"/apps/{app.id}?no_embed=true").json()
        check_resource(shown)
        assert set(shown["_embedded"]) == EMBEDDED
        assert isinstance(shown["_embedded"]["services"], list)
        variables = world.store.apps.secrets(app.id).configuration
        assert ("current_configuration" in shown["_links"]) is bool(variables)
        if variables:
            link = shown["_links"]["current_configuration"]["href"]
            assert client.http.get(link).json()["env"] == variables
        if app.id in alive:
            query = {"handle": app.handle, "environment": app.environment}
            found = client.http.get("/find/app", params=query)
            assert found.json() == shown
            alone = client.http.get("/find/app", params={"handle": app.handle})
            namesakes = [other for other in world.apps if other.handle == app.handle]
            if len([other for other in namesakes if other.id in alive]) == 1:
                assert alone.json() == shown
            else:
                assert alone.json()["error"] == "multiple_resources_found"


class TestAFullHouse:
    """One world in which there is everything."""

    @pytest.fixture
    def world(self, cheap_store: Store) -> World:
        world = World(cheap_store, *create_people(cheap_store))
        full = Life("a", {"GRÜSSE": "日本"}, {"web", "x"}, True, True, True, True, None, False)
        detached = replace(full, handle="b.c", commit=False, shrinks=False, waits=False)
        gone = replace(full, handle="d-e", deprovisioned=True)
        world.environment("prod", [full, detached, gone, replace(full, handle="f", services=None)])
        return world

    def test_each_type_is_reached(self, world: World, tmp_path: Path) -> None:
        client = Client(world.store, tmp_path)
        token = client.log_in(world.user.email)
        walk = Walk(client.http, f"{ROOT}/", token["_links"]["user"]["href"])
        for type_ in FIELDS.keys() - {"token"}:
            assert walk.of_type(type_), f"no {type_} was reached"
        reached = {address.removeprefix(ROOT) for address in walk.collections}
        for pattern in CREATED_IN:
            assert any(re.fullmatch(pattern, address) for address in reached), pattern
        urls = [text for address, text in walk.texts.items() if address.endswith("/logs")]
        assert urls
        for url in urls:
            client.http.headers.pop("Authorization", None)
            assert client.http.get(url).status_code == 200

    def test_a_stranger_reaches_nothing_of_it(self, world: World, tmp_path: Path) -> None:
        client = Client(world.store, tmp_path)
        token = client.log_in(world.user.email)
        walk = Walk(client.http, f"{ROOT}/", token["_links"]["user"]["href"])
        world.store.people.create_user("eve@example.com", PASSWORD)
        client.log_in("eve@example.com")
        everyones = re.compile(
            ROOT + r"(/|/accounts|/apps|/(stacks|organizations)(/1)?|/reauthenticate_organizations)"
        )
        for address in [*walk.resources, *walk.collections, *walk.texts]:
            answer = client.http.get(address)
            if not everyones.fullmatch(address):
                assert answer.status_code == 404, address
            elif "total_count" in answer.json() and not address.endswith(
                ("stacks", "organizations")
            ):
                assert answer.json()["total_count"] == 0

    def test_a_deploy_without_git_says_so_by_zeros(self, world: World, tmp_path: Path) -> None:
        client = Client(world.store, tmp_path)
        client.log_in(world.user.email)
        shown = client.http.get(f"/apps/{world.apps[0].id}").json()
        assert shown["_embedded"]["last_deploy_operation"]["git_ref"] == ZERO_ID

    def test_environments_are_found_by_handle(self, world: World, tmp_path: Path) -> None:
        client = Client(world.store, tmp_path)
        client.log_in(world.user.email)
        [account] = client.http.get("/accounts").json()["_embedded"]["accounts"]
        assert client.http.get("/find/account?handle=prod").json() == account
        unknown = client.http.get("/find/account?handle=none")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")

    def test_a_colleague_who_left_is_no_link(self, world: World, tmp_path: Path) -> None:
        client = Client(world.store, tmp_path)
        client.log_in(world.user.email)
        waiting = f"/apps/{world.apps[0].id}/operations"
        theirs = next(
            each
            for each in client.http.get(waiting).json()["_embedded"]["operations"]
            if each["user_email"] == world.colleague.email
        )
        assert client.http.get(theirs["_links"]["user"]["href"]).json()["id"] == world.colleague.id
        world.store.database.raw.delete(keys.user_environments(world.colleague.id))
        assert client.http.get(theirs["_links"]["user"]["href"]).status_code == 404
        now = client.http.get(theirs["_links"]["self"]["href"]).json()
        assert "user" not in now["_links"]
        assert now["user_email"] == world.colleague.email
