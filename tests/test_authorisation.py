"""Every route and every git request, for everyone, on one's own, a foreign and an unknown thing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from callers import CALLERS, UNKNOWN_ID, World, public_key
from certificates import given_certificate
from fastapi.routing import iter_route_contexts

from api import call
from api.application import create_api
from enclave import access
from enclave.changes import Changes
from enclave.errors import EnclaveError, NotFound
from enclave.operation import OperationRequest, OperationType
from enclave.people import SSHKey
from enclave.principal import Principal
from enclave.settings import Settings
from enclave.store import Store
from receiver.conversation import Conversations, GitService

CHAIN, KEY_PEM = given_certificate("new.example.com")
NEW_KEY = public_key(99)

ALL = "200 200 200 200 200 200 200"
READS_APP = "404 200 200 200 200 200 404"
DEPLOYS = "404 403 201 201 403 201 404"
ANY_PART = "404 200 200 200 200 200 200"
READS_ENVIRONMENT = "404 200 200 200 200 404 404"
ADMINISTERS = "404 403 403 201 403 404 404"
READS_OWN = "200 200 200 200 200 404 404"
LOOKS = ""
"""What is not told, for it changes nothing."""

CHANGES_OWN = "{0} {0} {0} {0} 403 404 404"


@dataclass(frozen=True)
class Row:
    """The statuses for ``CALLERS``, in their order; what to send; what the activity calls it; other
    names for the ids.
    """

    statuses: str
    body: object = None
    action: str = ""
    query: str = ""
    ids: dict[str, str] = field(default_factory=dict)


TABLE = {
    "GET /users/{user_id}": Row(READS_OWN),
    "GET /users/{user_id}/ssh_keys": Row(READS_OWN),
    "POST /users/{user_id}/ssh_keys": Row(
        CHANGES_OWN.format(201), {"ssh_public_key": NEW_KEY}, "key.add"
    ),
    "GET /ssh_keys/{key_id}": Row(READS_OWN),
    "GET /accounts/{account_id}/ssh_keys": Row(READS_ENVIRONMENT),
    "POST /accounts/{account_id}/ssh_keys": Row(
        ADMINISTERS, {"ssh_public_key": NEW_KEY}, "key.add"
    ),
    "DELETE /ssh_keys/{key_id}": Row(CHANGES_OWN.format(200), action="key.remove"),
    "GET /users/{user_id}/tokens": Row(READS_OWN),
    "POST /users/{user_id}/tokens": Row(CHANGES_OWN.format(201), {"scope": "read"}, "token.create"),
    "GET /tokens/{token_id}": Row(READS_OWN),
    "DELETE /tokens/{token_id}": Row(CHANGES_OWN.format(200), action="token.revoke"),
    "GET /organizations": Row(ALL),
    "GET /organizations/{organization_id}": Row(ALL),
    "GET /reauthenticate_organizations": Row(ALL),
    "GET /stacks": Row(ALL),
    "GET /stacks/{stack_id}": Row(ALL),
    "GET /accounts": Row(ALL),
    "GET /accounts/{account_id}": Row(ANY_PART),
    "GET /find/account": Row(ANY_PART, query="?handle={environment}"),
    "GET /apps": Row(ALL),
    "GET /accounts/{account_id}/apps": Row(ANY_PART),
    "POST /accounts/{account_id}/apps": Row(ADMINISTERS, {"handle": "new"}, "app.create"),
    "GET /apps/{app_id}": Row(READS_APP),
    "PUT /apps/{app_id}": Row("404 403 403 200 403 403 404", {"handle": "renamed"}, "app.rename"),
    "GET /find/app": Row(READS_APP, query="?handle={handle}&environment={environment}"),
    "GET /apps/{app_id}/services": Row(READS_APP),
    "GET /services/{service_id}": Row(READS_APP),
    "PUT /services/{service_id}": Row(
        "404 403 200 200 403 200 404", {"stop_timeout": 3}, "service.configure"
    ),
    "GET /services/{service_id}/operations": Row(READS_APP),
    "POST /services/{service_id}/operations": Row(
        DEPLOYS, {"type": "scale", "container_count": 2}, "operation.scale"
    ),
    "GET /apps/{app_id}/vhosts": Row(READS_APP),
    "GET /services/{service_id}/vhosts": Row(READS_APP),
    "POST /services/{service_id}/vhosts": Row(
        DEPLOYS, {"user_domain": "new.example.com"}, "endpoint.create"
    ),
    "GET /vhosts/{vhost_id}": Row(READS_APP),
    "PUT /vhosts/{vhost_id}": Row(
        "404 403 200 200 403 200 404", {"container_port": 3000}, "endpoint.change"
    ),
    "GET /vhosts/{vhost_id}/operations": Row(READS_APP),
    "POST /vhosts/{vhost_id}/operations": Row(
        DEPLOYS, {"type": "provision"}, "operation.provision"
    ),
    "GET /accounts/{account_id}/certificates": Row(READS_ENVIRONMENT),
    "POST /accounts/{account_id}/certificates": Row(
        "404 403 201 201 403 404 404",
        {"certificate_body": CHAIN, "private_key": KEY_PEM},
        "certificate.create",
    ),
    "GET /certificates/{certificate_id}": Row(READS_ENVIRONMENT),
    "GET /apps/{app_id}/webhooks": Row(READS_APP),
    "POST /apps/{app_id}/webhooks": Row(
        "404 403 403 201 403 403 404", {"url": "https://x.example/"}, "webhook.create"
    ),
    "GET /webhooks/{webhook_id}": Row(READS_APP),
    "PUT /webhooks/{webhook_id}": Row(
        "404 403 403 200 403 403 404", {"active": False}, "webhook.change"
    ),
    "DELETE /webhooks/{webhook_id}": Row("404 403 403 200 403 403 404", action="webhook.remove"),
    "GET /configurations/{configuration_id}": Row(READS_APP),
    "GET /apps/{app_id}/configurations": Row(READS_APP),
    "GET /images/{image_id}": Row(READS_APP),
    "GET /apps/{app_id}/images": Row(READS_APP),
    "GET /apps/{app_id}/releases": Row(READS_APP),
    "GET /apps/{app_id}/releases/{number}": Row(READS_APP),
    "GET /releases/{release_id}": Row(READS_APP),
    "GET /apps/{app_id}/operations": Row(READS_APP),
    "POST /apps/{app_id}/operations": Row(DEPLOYS, {"type": "restart"}, "operation.restart"),
    "GET /operations/{operation_id}": Row(READS_APP),
    "PUT /operations/{operation_id}": Row(
        "404 403 200 200 403 200 404",
        {"cancelled": True},
        "operation.cancel",
        ids={"operation_id": "queued_id"},
    ),
    "GET /operations/{operation_id}/logs": Row(READS_APP),
    "GET /operations/{operation_id}/events": Row(READS_APP),
    "GET /operations/{operation_id}/ssh_portal_connections": Row(READS_APP),
    "POST /operations/{operation_id}/ssh_portal_connections": Row(
        READS_APP.replace("200", "201"), {"ssh_public_key": NEW_KEY}, LOOKS
    ),
    "GET /apps/{app_id}/logs/events": Row(READS_APP.replace("200", "503")),  # no attendant here
    "GET /accounts/{account_id}/members": Row(READS_ENVIRONMENT),
    "POST /accounts/{account_id}/members": Row(
        ADMINISTERS, {"email": "new@example.com", "role": "read"}, "member.add"
    ),
    "GET /accounts/{account_id}/members/{member_id}": Row(READS_ENVIRONMENT),
    "PUT /accounts/{account_id}/members/{member_id}": Row(
        ADMINISTERS.replace("201", "200"), {"role": "deploy"}, "member.change"
    ),
    "DELETE /accounts/{account_id}/members/{member_id}": Row(
        ADMINISTERS.replace("201", "200"), action="member.remove"
    ),
    "GET /apps/{app_id}/activity": Row(READS_APP),
    "GET /apps/{app_id}/activity/{entry_id}": Row(READS_APP),
    "GET /accounts/{account_id}/activity": Row(READS_ENVIRONMENT),
    "GET /accounts/{account_id}/activity/{entry_id}": Row(
        READS_ENVIRONMENT, ids={"entry_id": "environment_entry_id"}
    ),
}
"""What each caller is answered about what belongs to ``prod/web``, or to themselves."""

OF_TYPES = {
    "rollback": (DEPLOYS, {"release": 1}),
    "deploy": (DEPLOYS, {}),
    "rebuild": (DEPLOYS, {}),
    "configure": (DEPLOYS, {"env": {"A": "1"}}),
    "execute": (DEPLOYS, {"command": "ls"}),
    "logs": (READS_APP.replace("200", "201"), {"status": "succeeded"}),
    "deprovision": (ADMINISTERS.replace("403 404 404", "403 403 404"), {}),
}
"""Types of operations, since each has a role of its own."""

OPEN = {
    "GET /": "clients begin here, before they log in",
    "GET /healthz": "asked by whoever watches the machine",
    "POST /tokens": "where one logs in",
    "GET /operations/{operation_id}/log": "its address is signed, and good for one log",
    "GET /docs": "the same for everyone",
    "FILES /docs/static": "the same for everyone",
    "GET /docs/oauth2-redirect": "the same for everyone",
    "GET /openapi.json": "the same for everyone",
}
"""What needs no token, and why."""

AGAIN = {
    *("operation.scale", "operation.provision", "operation.restart"),
    *("service.configure", "token.create", "certificate.create"),
}
"""What can be done again to the same thing; for the others everything is made anew."""

ONE_OF_ALL = {"organization_id": 1, "stack_id": 1}


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    return World(store, tmp_path)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[Principal]:
    """Whom the one function was asked about."""
    asked: list[Principal] = []
    authorise = access.authorise

    def spy(store: Store, principal: Principal, what: access.What, role: Any) -> None:
        asked.append(principal)
        authorise(store, principal, what, role)

    monkeypatch.setattr(access, "authorise", spy)
    monkeypatch.setattr(call, "authorise", spy)
    return asked


def routes() -> Iterator[str]:
    for each in iter_route_contexts(create_api(cast(Store, None), Settings()).routes):
        for method in set(each.methods or {"FILES"}) - {"HEAD"}:
            yield f"{method} {each.path}"


def test_every_route_has_its_row() -> None:
    assert sorted(routes()) == sorted({*TABLE, *OPEN})


def test_every_route_that_only_shows(world: World, questions: list[Principal]) -> None:
    for route, row in TABLE.items():
        if route.startswith("GET "):
            for caller, status in by_caller(row.statuses):
                check(world, route, caller, status, questions)


@pytest.mark.parametrize("route", [each for each in TABLE if not each.startswith("GET ")])
def test_a_route_that_changes_something_leaves_word_of_it(
    route: str, store: Store, world: World, tmp_path: Path, questions: list[Principal]
) -> None:
    for caller, status in by_caller(TABLE[route].statuses):
        if check(world, route, caller, status, questions).is_success:
            if TABLE[route].action == LOOKS:
                continue
            newest = store.activities.of_installation().newest(1)[0]
            who = world.callers[caller]
            assert (newest.action, newest.actor.email) == (TABLE[route].action, who.user.email)
            assert newest.actor.proof == who.principal.proof
            if TABLE[route].action not in AGAIN:
                world = World(store, tmp_path)


def check(
    world: World, route: str, caller: str, status: int, questions: list[Principal]
) -> httpx.Response:
    row, (method, path) = TABLE[route], route.split()
    ids = {**world.ids_for(caller), **ONE_OF_ALL}
    ids |= {name: ids[other] for name, other in row.ids.items()}
    questions.clear()
    answer = world.ask(caller, method, path + row.query, ids, row.body)
    assert answer.status_code == status, (route, caller, answer.text)
    assert world.callers[caller].principal in questions, (route, caller, "nobody asked who may")
    return answer


def test_foreign_and_unknown_are_the_same(world: World) -> None:
    """To the byte, whoever asks, and nothing is done before that is said.

    The callers' own environment is not among the foreign ones.
    """
    unknown = {**world.unknown, **dict.fromkeys(ONE_OF_ALL, 2)}
    foreign = {**unknown, **world.foreign}
    done = world.store.activities.of_installation().newest(1)
    for route, row in TABLE.items():
        method, path = route.split()
        if "{" not in path + row.query:
            continue
        for caller in CALLERS:
            answers = [
                world.ask(caller, method, path + row.query, ids, row.body)
                for ids in (unknown, foreign)
            ]
            statuses = [answer.status_code for answer in answers]
            assert statuses == [404, 404], (route, caller, answers[1].text)
            assert told(answers[0]) == told(answers[1]), (route, caller)
            assert world.store.activities.of_installation().newest(1) == done, (route, caller)


def test_a_foreign_thing_inside_ones_own_is_unknown(world: World) -> None:
    """``/accounts/OWN/members/THEIRS``: what is named last belongs to what is named first."""
    nested = 0
    for route, row in TABLE.items():
        method, path = route.split()
        names = re.findall(r"{(\w+)}", path)
        if len(names) < 2 or names[-1] == "number":  # which counts within its app
            continue
        nested += 1
        for caller in CALLERS:
            own = {**world.ids_for(caller), **ONE_OF_ALL}
            own |= {name: own[other] for name, other in row.ids.items()}
            unknown, foreign = (
                world.ask(caller, method, path, {**own, names[-1]: ids[names[-1]]}, row.body)
                for ids in (world.unknown, world.foreign)
            )
            assert foreign.status_code in (403, 404), (route, caller, foreign.text)
            assert told(foreign) == told(unknown), (route, caller)
    assert nested >= 3


@pytest.mark.parametrize("type_", list(OF_TYPES))
def test_a_type_of_operation(type_: str, world: World) -> None:
    statuses, more = OF_TYPES[type_]
    for caller, status in by_caller(statuses):
        body = {"type": type_, **more}
        answer = world.ask(caller, "POST", "/apps/{app_id}/operations", world.ids, body)
        assert answer.status_code == status, (caller, answer.text)


def test_without_a_token_there_is_nothing(world: World) -> None:
    anyone = world.callers["admin"].client
    del anyone.headers["authorization"]
    ids = {**world.ids_for("admin"), **ONE_OF_ALL}
    for route, row in TABLE.items():
        method, path = route.split()
        answer = anyone.request(method, (path + row.query).format(**ids), json=row.body)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), route


@pytest.mark.parametrize("service", list(GitService))
def test_git(service: GitService, world: World) -> None:
    """Whoever may push may fetch; to everyone else there is nothing (SPEC 2.11, 2.12)."""
    conversations = Conversations(world.store, world.here.settings)
    may = ["no", "no", "yes", "yes", "no", "yes", "no"]
    for caller, expected in zip(CALLERS, may, strict=True):
        principal = world.callers[caller].principal
        told = [
            admitted(conversations, principal, name, service)
            for name in ("prod/web", "theirs/web", "prod/unheard-of", "unheard-of/web")
        ]
        nothing = "Repository not found, or you may not use it."
        assert told == ["" if expected == "yes" else nothing, nothing, nothing, nothing], caller


@pytest.mark.parametrize("name", ["stranger", "reader", "deployer", "admin"])
def test_git_over_ssh_asks_for_the_same_role(name: str, world: World) -> None:
    conversations = Conversations(world.store, world.here.settings)
    key = world.store.people.keys_of(world.callers[name].user)[0]
    principal = access.key_holder(world.store, key.fingerprint)
    assert principal is not None
    told = admitted(conversations, principal, "prod/web", GitService.RECEIVE_PACK)
    assert (told == "") == (name in ("deployer", "admin"))


class TestDeployKeys:
    """An environment's keys: as much as the role deploy, in all its apps, and over SSH alone."""

    @pytest.fixture
    def key(self, world: World) -> SSHKey:
        return world.store.deploy_keys.add(world.here.environment.id, public_key(50), "ci")

    def test_git(self, world: World, key: SSHKey) -> None:
        conversations = Conversations(world.store, world.here.settings)
        principal = access.key_holder(world.store, key.fingerprint)
        assert principal is not None
        for service in GitService:
            for name in ("prod/web", "prod/other"):
                assert admitted(conversations, principal, name, service) == ""
            for name in ("theirs/web", "prod/unheard-of"):
                assert admitted(conversations, principal, name, service) != ""
        world.store.deploy_keys.remove(key)
        assert access.key_holder(world.store, key.fingerprint) is None

    @pytest.mark.parametrize(
        ("method", "statuses"), [("GET", READS_ENVIRONMENT), ("DELETE", ADMINISTERS)]
    )
    def test_shown_to_members_removed_by_admins(
        self, method: str, statuses: str, world: World, key: SSHKey
    ) -> None:
        for caller, status in by_caller(statuses.replace("201", "200")):
            answer = world.ask(caller, method, "/ssh_keys/{key_id}", {"key_id": key.id})
            if method == "DELETE" and caller == "admin":
                assert answer.json()["name"] == "ci"
                key = world.store.deploy_keys.add(world.here.environment.id, public_key(50))
            assert answer.status_code == status, (caller, answer.text)

    def test_a_foreign_one_is_like_an_unknown_one(self, world: World) -> None:
        theirs = int(world.foreign["account_id"])
        foreign = world.store.deploy_keys.add(theirs, public_key(51))
        for method in ("GET", "DELETE"):
            answers = [
                world.ask("admin", method, "/ssh_keys/{key_id}", {"key_id": number})
                for number in (foreign.id, UNKNOWN_ID)
            ]
            assert told(answers[0]) == told(answers[1])
        assert world.store.deploy_keys.of_environment(theirs) == [foreign]

    def test_what_it_deploys_is_told_under_its_name(self, world: World, key: SSHKey) -> None:
        principal = access.key_holder(world.store, key.fingerprint)
        assert principal is not None
        app, user = world.here.app, principal.user
        asked = OperationRequest(app.id, OperationType.DEPLOY, user.id, user.email)
        number = world.store.operations.submit(asked, Changes()).id
        shown = world.ask("reader", "GET", f"/operations/{number}", {}).json()
        assert shown["user_email"] == "ci (deploy key)"
        assert "user" not in shown["_links"]


class TestLists:
    """What is not somebody's to see is in no list of theirs."""

    @pytest.mark.parametrize(
        ("path", "key", "lengths"),
        [
            ("/accounts", "accounts", [0, 1, 1, 1, 1, 1, 1]),
            ("/apps", "apps", [0, 2, 2, 2, 2, 1, 1]),
        ],
    )
    def test_of_everything(self, path: str, key: str, lengths: list[int], world: World) -> None:
        found = [world.ask(each, "GET", path, {}).json()["_embedded"][key] for each in CALLERS]
        assert [len(each) for each in found] == lengths

    def test_of_the_apps_of_an_environment(self, world: World) -> None:
        listed = [
            world.ask(each, "GET", "/accounts/{account_id}/apps", world.ids).json()
            for each in CALLERS[1:]
        ]
        assert [each["total_count"] for each in listed] == [2, 2, 2, 2, 1, 1]
        handles = [app["handle"] for app in listed[-1]["_embedded"]["apps"]]
        assert handles == ["other"]


class TestTokens:
    def test_one_for_an_app_is_given_to_who_may_deploy_it(self, world: World) -> None:
        scope = {"scope": f"app:{world.here.app.id}"}
        path = "/users/{user_id}/tokens"
        made = [
            world.ask(each, "POST", path, world.ids_for(each), scope).status_code
            for each in ("stranger", "reader", "deployer", "admin")
        ]
        assert made == [404, 403, 201, 201]

    def test_one_for_a_foreign_app_is_refused_like_one_for_no_app(self, world: World) -> None:
        path, ids = "/users/{user_id}/tokens", world.ids_for("admin")
        foreign, unknown = (
            world.ask("admin", "POST", path, ids, {"scope": f"app:{number}"})
            for number in (world.foreign["app_id"], world.unknown["app_id"])
        )
        assert (foreign.status_code, told(foreign)) == (404, told(unknown))

    @pytest.mark.parametrize("caller", CALLERS)
    def test_each_may_see_and_end_itself(self, caller: str, world: World) -> None:
        ids = {"token_id": world.callers[caller].principal.token_id}
        shown = world.ask(caller, "GET", "/tokens/{token_id}", ids)
        assert shown.json()["scope"] == str(world.callers[caller].principal.scope)
        assert world.ask(caller, "DELETE", "/tokens/{token_id}", ids).status_code == 200
        ended = world.ask(caller, "GET", "/tokens/{token_id}", ids)
        assert (ended.status_code, ended.json()["error"]) == (401, "invalid_token")

    def test_a_scope_gives_no_more_than_its_user_has(self, world: World) -> None:
        store, admin = world.store, world.callers["for this app"].user
        store.members.add(world.here.environment.id, "another@example.com", access.Role.ADMIN)
        store.people.set_role(admin, world.here.environment.id, access.Role.READ)
        ids = world.ids
        assert world.ask("for this app", "GET", "/apps/{app_id}", ids).status_code == 200
        body = {"type": "restart"}
        refused = world.ask("for this app", "POST", "/apps/{app_id}/operations", ids, body)
        assert refused.status_code == 403
        assert refused.json()["message"].endswith("yours is read.")


def by_caller(statuses: str) -> Iterator[tuple[str, int]]:
    yield from zip(CALLERS, map(int, statuses.split()), strict=True)


def admitted(
    conversations: Conversations, principal: Principal, name: str, service: GitService
) -> str:
    """Return nothing when the conversation may begin, else what the client is told."""
    try:
        conversations.admit(principal, *name.split("/"), service)
    except EnclaveError as error:
        assert type(error) is NotFound
        return str(error)
    return ""


def told(answer: httpx.Response) -> tuple[bytes, list[tuple[str, str]]]:
    """Return all that tells one answer from another."""
    return answer.content, sorted(answer.headers.items())
