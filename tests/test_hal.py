"""The API as its clients find it: from the root along links, in whatever state it is (API.md)."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from hal_fields import FIELDS, check_resource
from hal_walker import Walk
from hal_world import WORLDS, Life, World
from hypothesis import HealthCheck, given, settings

from api.application import create_api
from enclave.operation import ZERO_ID
from enclave.people import User
from enclave.settings import Settings
from enclave.store import Store

ROOT = "http://enclave.example:8080"
PASSWORD = "correct horse"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK me@home"


CREATED_IN = {
    r"/accounts/\d+/apps",
    r"/operations/\d+/ssh_portal_connections",
    r"/accounts/\d+/certificates",
    r"/apps/\d+/operations",
    r"/services/\d+/operations",
    r"/services/\d+/vhosts",
    r"/vhosts/\d+/operations",
    r"/apps/\d+/webhooks",
    r"/users/\d+/ssh_keys",
    r"/accounts/\d+/ssh_keys",
    r"/accounts/\d+/members",
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
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
        for type_ in FIELDS.keys() - {"token", "ssh_portal_connection"}:
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

    @pytest.mark.parametrize("collection", ["/apps", "/accounts/1/apps", "/accounts"])
    def test_one_page_of_all_as_the_toolbelt_asks_for_it(
        self, world: World, tmp_path: Path, collection: str
    ) -> None:
        client = Client(world.store, tmp_path)
        client.log_in(world.user.email)
        page = client.http.get(f"{collection}?per_page=5000&no_embed=true").json()
        [items] = page["_embedded"].values()
        assert len(items) == page["total_count"] > 0
        assert page["per_page"] == 5000
        assert "next" not in page["_links"]
        more = client.http.get(f"{collection}?per_page=1000000").json()
        assert more["per_page"] == 5000

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
        world.store.members.remove_email(world.apps[0].environment_id, world.colleague.email)
        assert client.http.get(theirs["_links"]["user"]["href"]).status_code == 404
        now = client.http.get(theirs["_links"]["self"]["href"]).json()
        assert "user" not in now["_links"]
        assert now["user_email"] == world.colleague.email
