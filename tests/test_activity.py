"""What was changed is told, once, whoever changed it and however (audit)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from api_app import A, ApiApp, B, create_in
from callers import public_key
from certificates import given_certificate
from full_redis import full

from enclave.activity import Activity, Actor, trimmed
from enclave.app import App, ServiceSettings
from enclave.changes import Changes
from enclave.errors import Conflict
from enclave.operation import ZERO_ID, OperationRequest, OperationType, RefUpdate
from enclave.people import Role, User
from enclave.pushed_config import PushedConfig
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.store.database import Database, Word
from enclave.store.pushes import PushRequest
from enclave.tokens import issue_token
from hooks.post_receive import deploy_request

ANN = Actor("ann@example.com", "token 1 (manage)", "192.0.2.1", "aptible-cli")


class House:
    """An app, its environment and a user, before anything is done to them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.environment = store.apps.create_environment("prod")
        self.app: App = store.apps.create(self.environment, "web")
        self.user: User = store.people.create_user("ann@example.com", "correct horse")
        store.people.set_role(self.user, self.environment.id, Role.ADMIN)
        self.key = store.people.add_key(self.user, public_key(1))
        self.token = issue_token(store, self.user, url="http://h", seconds=60).record
        self.member = store.members.add(self.environment.id, "bob@example.com", Role.READ)
        self.endpoint = store.endpoints.create(self.app.id, "web", domain="old.x.example")
        pair = given_certificate("old.x.example")
        self.certificate = store.certificates.add(self.environment.id, *pair)
        self.webhook = store.webhooks.create(self.app.id, "https://old.x.example/", "s" * 16)
        self.queued = store.operations.submit(self.request, Changes())

    @property
    def request(self) -> OperationRequest:
        return OperationRequest(self.app.id, OperationType.RESTART, 1, "ann@example.com")

    @property
    def visit(self) -> OperationRequest:
        return replace(self.request, type=OperationType.EXECUTE)

    def push(self, *updates: RefUpdate, deploys: bool = False) -> None:
        operation = deploy_request(self.app, self.user, updates[0]) if deploys else None
        moved = updates[1:] if deploys else updates
        ref = self.app.deploy_ref if deploys else ""
        request = PushRequest("p1", self.app.id, False, moved, operation, ref, "", ANN)
        self.store.pushes.accept(request)

    def newest(self) -> Activity:
        return self.store.activities.of_installation().newest(1)[0]

    def count(self) -> int:
        return len(self.store.activities.of_installation().newest(1000))


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def stored(branch: str, commit: str) -> RefUpdate:
    return RefUpdate(f"refs/heads/{branch}", ZERO_ID, commit, PushedConfig(commit))


CHANGES: dict[str, tuple[Callable[[House], object], str]] = {
    "environment.create": (lambda h: h.store.apps.create_environment("dev", actor=ANN), "dev"),
    "app.rename": (lambda h: h.store.apps.rename(h.app, "shop", actor=ANN), "shop"),
    "app.create": (lambda h: h.store.apps.create(h.environment, "api", actor=ANN), "api"),
    "user.create": (
        lambda h: h.store.people.create_user("eve@example.com", "correct horse", actor=ANN),
        "eve@example.com",
    ),
    "user.password": (
        lambda h: h.store.people.set_password(h.user, "battery staple", actor=ANN),
        "ann@example.com",
    ),
    "key.add": (lambda h: h.store.people.add_key(h.user, public_key(2), actor=ANN), "key-2 SHA256"),
    "key.remove": (lambda h: h.store.people.remove_key(h.user, h.key.id, actor=ANN), "SHA256:"),
    "token.create": (
        lambda h: issue_token(h.store, h.user, url="http://h", seconds=60, name="ci", actor=ANN),
        "(manage) ci",
    ),
    "token.revoke": (lambda h: h.store.tokens.revoke(h.token, actor=ANN), ""),
    "member.add": (
        lambda h: h.store.members.add(h.environment.id, "eve@x.example", Role.READ, actor=ANN),
        "eve@x.example (read)",
    ),
    "member.change": (
        lambda h: h.store.members.change(h.member, Role.DEPLOY, actor=ANN),
        "bob@example.com (deploy)",
    ),
    "member.remove": (lambda h: h.store.members.remove(h.member, actor=ANN), "bob@example.com"),
    "service.configure": (
        lambda h: h.store.apps.set_service_settings(h.app.id, "web", ServiceSettings(3), actor=ANN),
        "web",
    ),
    "endpoint.create": (
        lambda h: h.store.endpoints.create(h.app.id, "web", domain="www.x.example", actor=ANN),
        "www.x.example",
    ),
    "certificate.create": (
        lambda h: h.store.certificates.add(
            h.environment.id, *given_certificate("www.x.example"), actor=ANN
        ),
        "2 www.x.example",
    ),
    "endpoint.change": (
        lambda h: h.store.endpoints.wish(replace(h.endpoint, port=3000), actor=ANN),
        "old.x.example",
    ),
    "certificate.remove": (
        lambda h: h.store.certificates.remove(h.certificate, actor=ANN),
        "1 old.x.example",
    ),
    "webhook.create": (
        lambda h: h.store.webhooks.create(h.app.id, "https://x.example/key", "s" * 16, actor=ANN),
        "2 x.example",
    ),
    "webhook.change": (
        lambda h: h.store.webhooks.change(replace(h.webhook, active=False), actor=ANN),
        "1 old.x.example",
    ),
    "webhook.remove": (
        lambda h: h.store.webhooks.remove(h.webhook, actor=ANN),
        "1 old.x.example",
    ),
    "operation.execute": (lambda h: h.store.operations.record(h.visit, Changes(), actor=ANN), ""),
    "operation.restart": (lambda h: h.store.operations.submit(h.request, Changes(), actor=ANN), ""),
    "operation.cancel": (
        lambda h: h.store.operations.cancel(h.queued, by=h.user, actor=ANN),
        "",
    ),
    "operation.deploy": (lambda h: h.push(stored("master", A), deploys=True), ""),
    "push": (
        lambda h: h.push(stored("topic", A), stored("other", B)),
        f"refs/heads/topic {A[:8]}, refs/heads/other {B[:8]}",
    ),
}


@pytest.mark.parametrize("action", list(CHANGES))
def test_a_change_is_told_once_though_it_was_asked_for_again(
    action: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first answer may be lost with the connection to Redis."""
    run = Database.run

    def run_twice(
        self: Database, script: str, script_keys: Sequence[str], arguments: Sequence[Word]
    ) -> object:
        run(self, script, script_keys, arguments)
        return run(self, script, script_keys, arguments)

    monkeypatch.setattr(Database, "run", run_twice)
    before, (change, about) = house.count(), CHANGES[action]
    change(house)
    newest = house.newest()
    assert (newest.action, newest.actor) == (action, ANN)
    assert about in newest.about
    assert house.count() == before + 1


def test_what_did_not_happen_is_not_told(house: House) -> None:
    before = house.count()
    for change in (
        lambda: house.store.apps.create(house.environment, "web"),
        lambda: house.store.people.create_user("ann@example.com", "correct horse"),
        lambda: house.store.people.add_key(house.user, public_key(1)),
        lambda: house.store.members.add(house.environment.id, "bob@example.com", Role.READ),
        lambda: house.store.people.set_role(house.user, house.environment.id, Role.READ),
        lambda: house.store.people.remove_user(house.user),
    ):
        with pytest.raises(Conflict):
            change()
    house.push(RefUpdate("refs/heads/topic", A, B, None))  # stale
    assert house.count() == before


def test_a_refused_ref_of_a_push_is_left_out(house: House) -> None:
    house.push(stored("topic", A), RefUpdate("refs/heads/other", A, B, PushedConfig(B)))
    assert house.newest().about == f"refs/heads/topic {A[:8]}"


def test_an_app_tells_of_itself_and_its_environment_of_everything(house: House) -> None:
    kept = house.store.activities
    other = house.store.apps.create(house.environment, "other")
    house.store.members.add(house.environment.id, "eve@example.com", Role.READ)
    of_app = [each.action for each in kept.of_app(house.app.id).newest(10)]
    assert of_app == ["operation.restart", "webhook.create", "endpoint.create", "app.create"]
    of_environment = [
        (each.action, each.app_id) for each in kept.of_environment(house.environment.id).newest(2)
    ]
    assert of_environment == [("member.add", None), ("app.create", other.id)]
    assert kept.of_app(house.app.id).count() == 4
    assert [each.action for each in kept.of_app(house.app.id).newest(5, skip=3)] == ["app.create"]


def test_the_oldest_give_way(redis_url: str, tmp_path: Path) -> None:
    store = Store(redis_url, Sealer.from_settings("", tmp_path), activity_kept=3)
    environment = store.apps.create_environment("prod")
    apps = [store.apps.create(environment, f"app-{number}") for number in range(5)]
    kept = store.activities.of_environment(environment.id).newest(10)
    assert [each.about for each in kept] == ["app-4", "app-3", "app-2"]
    assert store.activities.of_environment(environment.id).count() == 3
    assert store.activities.of_app(apps[0].id).count() == 1
    assert len(store.activities.of_installation().newest(10)) == 6


def test_a_full_store_tells_of_what_it_lets_happen(house: House) -> None:
    with full(house.store):
        house.store.tokens.revoke(house.token)
    assert house.newest().action == "token.revoke"


def test_names_cannot_paint_a_terminal(house: House) -> None:
    """Not that of a token, nor that of a key, under which its machine deploys."""
    issue_token(house.store, house.user, url="http://h", seconds=60, name="ci\x1b[2J")
    assert house.newest().about.endswith(" ci[2J")
    key = house.store.deploy_keys.add(house.environment.id, public_key(3), "ci\x1b[2J\n")
    assert key.name == "ci[2J"


def test_no_secret_is_in_it(store: Store, tmp_path: Path) -> None:
    world = ApiApp(store, tmp_path)
    world.put_live()
    secrets = ["hunter2-of-the-registry", "hunter2-of-the-app", "correct horse"]
    pair = {
        "APTIBLE_PRIVATE_REGISTRY_USERNAME": "robot",
        "APTIBLE_PRIVATE_REGISTRY_PASSWORD": secrets[0],
    }
    settings = {"APTIBLE_DOCKER_IMAGE": "registry.example.com/web:2"}
    deploy = world.ask("deploy", settings=settings, sensitive_settings=pair)
    assert deploy.status_code == 201, deploy.text
    assert world.ask("configure", env={"API_KEY": secrets[1]}).status_code == 201
    credentials = {"username": "admin@example.com", "password": secrets[2], "scope": "read"}
    issued = world.admin.post("/tokens", json=credentials).json()["access_token"]
    told = str(store.activities.of_installation().newest(1000))
    assert "operation.configure" in told
    assert not [secret for secret in (*secrets, issued) if secret in told]


class TestOverHTTP:
    @pytest.fixture
    def world(self, store: Store, tmp_path: Path) -> ApiApp:
        return ApiApp(store, tmp_path)

    def test_an_entry(self, world: ApiApp) -> None:
        world.admin.headers["user-agent"] = "aptible-cli/0.26"
        asked = world.ask("configure", env={"A": "1"}).json()
        listed = world.admin.get(f"{world.path}/activity").json()
        assert listed["total_count"] == 2
        entry = listed["_embedded"]["activity"][0]
        assert world.admin.get(entry["_links"]["self"]["href"]).json() == entry
        for gone in ("1-1", "x", "1-1-1"):
            assert world.admin.get(f"{world.path}/activity/{gone}").status_code == 404
        assert entry["_type"] == "activity"
        assert (entry["action"], entry["about"]) == ("operation.configure", str(asked["id"]))
        assert entry["user_email"] == "admin@example.com"
        assert entry["proof"].startswith("token ")
        assert entry["proof"].endswith(" (manage)")
        assert (entry["remote_address"], entry["user_agent"]) == ("testclient", "aptible-cli/0.26")
        assert entry["_links"]["operation"]["href"] == asked["_links"]["self"]["href"]

    def test_pages(self, world: ApiApp) -> None:
        for number in range(3):
            collection = f"/accounts/{world.environment.id}/apps"
            assert create_in(world.admin, collection, handle=f"app-{number}").status_code == 201
        address: str | None = f"/accounts/{world.environment.id}/activity?per_page=2"
        told: list[str] = []
        while address:
            page = world.admin.get(address).json()
            told += [each["about"] for each in page["_embedded"]["activity"]]
            address = page["_links"].get("next", {}).get("href")
        assert told[:4] == ["app-2", "app-1", "app-0", "web"]
        assert len(told) == page["total_count"]


@pytest.mark.parametrize(
    ("given", "kept"), [("git/2.39\n\x1b[31m", "git/2.39[31m"), ("x" * 500, "x" * 200), ("", "")]
)
def test_what_a_client_calls_itself(given: str, kept: str) -> None:
    assert trimmed(given) == kept
