"""What can be asked of an app and of its services, by whom, and what becomes of it (API.md)."""

from pathlib import Path

import pytest
from api_app import ROOT, UNKNOWN, A, ApiApp, B, create_in, follow
from certificates import given_certificate

from enclave.app import AppSecrets, AppState, Service, ServiceSettings
from enclave.changes import Changes
from enclave.credentials import RegistryCredentials
from enclave.operation import OperationStatus, OperationType, Source
from enclave.people import Role
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from enclave.store.leases import Ending

IMAGE = "registry.example.com/team/web:2"


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    return ApiApp(store, tmp_path)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({"type": "restart"}, Changes()),
        ({"type": "restart", "env": {"A": "1"}, "git_ref": "x"}, Changes()),
        ({"type": "rebuild"}, Changes()),
        ({"type": "deprovision"}, Changes()),
        ({"type": "configure", "env": {"A": "1"}}, Changes(environment={"A": "1"})),
        ({"type": "configure", "env": {"A": ""}}, Changes(environment={"A": ""})),
        ({"type": "configure", "env": {"A": None}}, Changes(environment={"A": ""})),
        (
            {
                "type": "configure",
                "settings": {"APTIBLE_DOCKER_IMAGE": IMAGE},
                "sensitive_settings": {
                    "APTIBLE_PRIVATE_REGISTRY_USERNAME": "robot",
                    "APTIBLE_PRIVATE_REGISTRY_PASSWORD": "hunter2",
                },
            },
            Changes(
                image=IMAGE,
                credentials=RegistryCredentials("registry.example.com", "robot", "hunter2"),
            ),
        ),
        (
            {"type": "configure", "env": {"APTIBLE_DOCKER_IMAGE": IMAGE, "A": "1"}},
            Changes(image=IMAGE, environment={"A": "1"}),
        ),
        (
            {"type": "configure", "settings": {"APTIBLE_PRIVATE_REGISTRY_HELPER": "ecr-login"}},
            Changes(helper="ecr-login"),
        ),
        (
            {"type": "configure", "env": {"APTIBLE_PRIVATE_REGISTRY_HELPER": ""}},
            Changes(helper=""),
        ),
        (
            {"type": "deploy", "container_count": 2, "container_size": 256},
            Changes(container_count=2, container_size=256),
        ),
        ({"type": "rollback", "release": 1}, Changes(image="nginx:1")),
    ],
)
def test_bodies(world: ApiApp, body: dict[str, object], changes: Changes) -> None:
    world.put_live()
    request, asked = world.asked(world.ask(**body))  # type: ignore[arg-type]
    assert request.type == body["type"]
    assert asked == changes
    assert (request.user_email, request.endpoint, request.process_type) == (
        "admin@example.com",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"type": "configure"}, "name at least one variable"),
        ({"type": "configure", "env": {}}, "name at least one variable"),
        ({"type": "configure", "env": {"A B": "1"}}, "cannot name a variable"),
        ({"type": "configure", "env": {"A": "\0"}}, "NUL"),
        ({"type": "configure", "settings": {"APTIBLE_DOCKER_IMAGE": "No"}}, "lower case"),
        ({"type": "configure", "env": {"RELEASE_HEALTHCHECK_TIMEOUT": "901"}}, "0 to 900"),
        ({"type": "deploy", "container_size": 1}, "container size"),
        ({"type": "deploy", "container_size": "big"}, "container_size"),
        ({"type": "rollback"}, "to which release"),
        ({"type": "rollback", "release": 7}, "has no release 7"),
        ({"type": "rollback", "release": -1}, "has no release -1"),
        ({"type": "rollback", "release": "x"}, "release"),
        ({"type": "scale", "container_count": 2}, "operations of a service"),
        ({"type": "provision"}, "not available here yet"),
    ],
)
def test_what_is_refused_leaves_no_operation(
    world: ApiApp, body: dict[str, object], words: str
) -> None:
    world.put_live()
    answer = world.ask(**body)  # type: ignore[arg-type]
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["message"]
    assert world.store.operations.unfinished(world.app.id) == []


@pytest.mark.parametrize("type_", ["restart", "rebuild", "rollback"])
def test_what_was_never_deployed_has_nothing_to_run_again(world: ApiApp, type_: str) -> None:
    answer = world.ask(type_, release=1)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("The app prod/web was never deployed")
    assert world.store.operations.unfinished(world.app.id) == []


@pytest.mark.parametrize("type_", ["restart", "rebuild"])
def test_a_deploy_that_waits_is_counted_in(world: ApiApp, type_: str) -> None:
    world.ask("configure", env={"A": "1"})
    assert world.ask(type_).status_code == 422  # a configure makes no release
    world.ask("deploy", settings={"APTIBLE_DOCKER_IMAGE": IMAGE})
    assert world.ask(type_).status_code == 201


def test_configuring_what_was_never_deployed(world: ApiApp) -> None:
    _, changes = world.asked(world.ask("configure", env={"A": "1"}))
    assert changes.environment == {"A": "1"}


class TestRollback:
    @pytest.mark.parametrize(
        ("commit", "detached", "source"),
        [(A, False, Source.COMMIT), (None, True, Source.DETACH), (None, False, Source.COMMIT)],
    )
    def test_what_waits_behind_is_checked_against_the_app_as_it_will_be(
        self, world: ApiApp, commit: str | None, detached: bool, source: Source
    ) -> None:
        world.put_live(1, image="old:1", commit=commit, detached=detached)
        world.put_live(2, image="new:1", commit=B)
        request, _ = world.asked(world.ask("rollback", release=1))
        assert (request.release, request.source) == (1, source)
        projected = world.store.projected(world.app)
        assert projected.image == "old:1"
        assert projected.pushed == (PushedConfig(commit) if commit else None)
        assert projected.detached is detached

    def test_the_oldest_that_is_kept_and_the_one_before(self, world: ApiApp) -> None:
        for number in range(1, 8):
            world.put_live(number, image=f"nginx:{number}")
        world.store.images.expire(world.app.id, 2)
        assert world.ask("rollback", release=3).status_code == 201
        answer = world.ask("rollback", release=2)
        assert answer.status_code == 422
        assert "Release 2 has expired" in answer.json()["message"]
        assert "--docker-image nginx:2" in answer.json()["message"]


class TestDeprovision:
    def test_nothing_is_queued_behind_the_end(self, world: ApiApp) -> None:
        world.put_live()
        web = world.service()["_links"]
        ending = world.ask("deprovision").json()
        tries = [
            world.ask("restart"),
            world.ask("deprovision"),
            create_in(world.admin, web["operations"]["href"], type="scale", container_count=2),
            create_in(world.admin, web["vhosts"]["href"], default=True),
        ]
        for answer in tries:
            assert answer.status_code == 422
            assert f"by operation {ending['id']}" in answer.json()["message"]
        world.admin.put(ending["_links"]["self"]["href"], json={"cancelled": True})
        assert world.ask("restart").status_code == 201

    def test_afterwards(self, world: ApiApp) -> None:
        world.put_live()
        service = world.service()
        operation = world.ask("deprovision").json()
        end_app(world)
        shown = world.admin.get(world.path).json()
        assert shown["status"] == "deprovisioned"
        assert follow(world.admin, operation, "self")["status"] == "succeeded"
        for type_ in ("deploy", "restart", "configure", "deprovision"):
            answer = world.ask(type_, env={"A": "1"})
            assert answer.status_code == 422
            assert "prod/web is deprovisioned" in answer.json()["message"]
        assert world.admin.get(service["_links"]["self"]["href"]).json() == UNKNOWN
        assert world.admin.get("/find/app?handle=web").json() == UNKNOWN


def end_app(world: ApiApp) -> None:
    """Be the worker that deprovisions the app."""
    world.store.leases.finish(
        world.take(),
        Ending(
            OperationStatus.SUCCEEDED,
            "",
            state=AppState(),
            secrets=AppSecrets(),
            deprovisions=True,
        ),
    )


class TestScale:
    @pytest.mark.parametrize(
        ("body", "changes"),
        [
            ({"container_count": 3}, Changes(container_count=3)),
            ({"container_count": 0}, Changes(container_count=0)),
            ({"container_size": 512}, Changes(container_size=512)),
            (
                {"container_count": 3, "container_size": 512, "instance_profile": "m"},
                Changes(container_count=3, container_size=512),
            ),
        ],
    )
    def test_where_the_collection_says(
        self, world: ApiApp, body: dict[str, object], changes: Changes
    ) -> None:
        world.put_live()
        service = world.service("worker")
        listed = follow(world.admin, service, "operations")
        assert listed["_embedded"] == {"operations": []}
        assert listed["_links"]["self"]["href"] == f"{ROOT}/services/{service['id']}/operations"
        answer = create_in(
            world.admin, service["_links"]["operations"]["href"], type="scale", **body
        )
        request, asked = world.asked(answer)
        assert (request.type, request.process_type) == (OperationType.SCALE, "worker")
        assert asked == changes
        operation = answer.json()
        assert follow(world.admin, operation, "resource") == service
        assert follow(world.admin, service, "operations")["_embedded"]["operations"] == [operation]
        assert follow(world.admin, world.service("web"), "operations")["total_count"] == 0

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"type": "scale"}, "container_count, container_size or both"),
            ({"type": "scale", "container_count": 5000}, "from 0 to 1000"),
            ({"type": "scale", "container_count": -1}, "from 0 to 1000"),
            ({"type": "scale", "container_size": 0}, "container size"),
            ({"type": "restart"}, "Operations on a service are scale, not 'restart'"),
            ({"type": "deploy"}, "Operations on a service are scale"),
            ({}, "type"),
        ],
    )
    def test_what_is_refused(self, world: ApiApp, body: dict[str, object], words: str) -> None:
        world.put_live()
        answer = world.admin.post(f"/services/{world.service()['id']}/operations", json=body)
        assert answer.status_code == 422
        assert words in answer.json()["message"]
        assert world.store.operations.unfinished(world.app.id) == []

    def test_a_service_that_went(self, world: ApiApp) -> None:
        world.put_live()
        address = world.service("worker")["_links"]["operations"]["href"]
        world.put_live(2, services=(Service("web", None, 1),))
        for answer in (
            world.admin.get(address),
            world.admin.post(address, json={"type": "scale", "container_count": 1}),
        ):
            assert answer.json() == UNKNOWN


class TestServiceSettings:
    def test_shown_and_changed(self, world: ApiApp) -> None:
        world.put_live()
        service = world.service("worker")
        assert service["container_memory_limit_mb"] == 512
        assert service["stop_timeout"] is None
        address = service["_links"]["self"]["href"]
        for seconds in (0, 900, 30):
            changed = world.admin.put(address, json={"stop_timeout": seconds, "x": 1})
            assert (changed.status_code, changed.json()["stop_timeout"]) == (200, seconds)
        assert world.admin.put(address, json={"naive_health_check": True}).status_code == 200
        assert world.service("worker")["stop_timeout"] == 30  # what is not named stays
        assert world.service("web")["stop_timeout"] is None
        settings = world.store.apps.service_settings(world.app.id)
        assert settings == {"worker": ServiceSettings(30)}
        assert world.admin.put(address, json={"stop_timeout": None}).json() == service

    @pytest.mark.parametrize("seconds", [-1, 901, "long", 1.5])
    def test_what_is_no_time(self, world: ApiApp, seconds: object) -> None:
        world.put_live()
        address = world.service()["_links"]["self"]["href"]
        answer = world.admin.put(address, json={"stop_timeout": seconds})
        assert answer.status_code == 422
        assert "stop_timeout" in answer.json()["message"]
        assert world.store.apps.service_settings(world.app.id) == {}


CERTIFICATE = dict(
    zip(("certificate_body", "private_key"), given_certificate("www.example.com"), strict=True)
)
DEPLOYS = [
    ("POST", "/apps/{app}/operations", {"type": "restart"}),
    ("POST", "/apps/{app}/operations", {"type": "rebuild"}),
    ("POST", "/apps/{app}/operations", {"type": "configure", "env": {"A": "1"}}),
    ("POST", "/apps/{app}/operations", {"type": "rollback", "release": 1}),
    ("POST", "/services/{service}/operations", {"type": "scale", "container_count": 2}),
    ("PUT", "/services/{service}", {"stop_timeout": 5}),
    ("POST", "/accounts/{account}/certificates", CERTIFICATE),
    ("POST", "/services/{service}/vhosts", {"user_domain": "new.example.com"}),
    ("POST", "/vhosts/{vhost}/operations", {"type": "provision"}),
    ("POST", "/vhosts/{vhost}/operations", {"type": "deprovision"}),
]
ADMINISTERS = [("POST", "/apps/{app}/operations", {"type": "deprovision"})]
READS = [
    ("GET", f"/{path}", {})
    for path in (
        "apps/{app}/releases",
        "apps/{app}/releases/1",
        "apps/{app}/vhosts",
        "releases/{release}",
        "services/{service}/operations",
        "services/{service}/vhosts",
        "vhosts/{vhost}",
        "vhosts/{vhost}/operations",
        "accounts/{account}/certificates",
        "certificates/{certificate}",
    )
]


class TestWhoMayAsk:
    @pytest.mark.parametrize(
        ("role", "statuses"),
        [
            (Role.READ, (200, 403, 403)),
            (Role.DEPLOY, (200, 201, 403)),
            (Role.ADMIN, (200, 201, 201)),
        ],
        ids=["read", "deploy", "admin"],
    )
    def test_roles(self, world: ApiApp, role: Role, statuses: tuple[int, int, int]) -> None:
        numbers = self._numbers(world)
        person = world.admin if role is Role.ADMIN else world.person(role)
        for requests, status in zip((READS, DEPLOYS, ADMINISTERS), statuses, strict=True):
            for method, path, body in requests:
                expected = 200 if (method, status) == ("PUT", 201) else status
                answer = person.request(method, path.format(**numbers), json=body)
                assert answer.status_code == expected, (path, body, answer.text)
        if role is Role.READ:
            assert world.store.operations.unfinished(world.app.id) == []

    def test_foreign_and_unknown_look_the_same(self, world: ApiApp) -> None:
        numbers = self._numbers(world)
        stranger = world.person(None)
        for method, path, body in [*READS, *DEPLOYS, *ADMINISTERS]:
            for each in (numbers, dict.fromkeys(numbers, 999_999)):
                answer = stranger.request(method, path.format(**each), json=body)
                assert (answer.status_code, answer.json()) == (404, UNKNOWN), path
        assert world.store.operations.unfinished(world.app.id) == []

    def _numbers(self, world: ApiApp) -> dict[str, int]:
        release = world.put_live()
        endpoint = world.store.endpoints.create(world.app.id, "web", default=True)
        certificate = world.store.certificates.add(
            world.environment.id, *given_certificate("www.example.com")
        )
        return {
            "account": world.environment.id,
            "certificate": certificate.id,
            "app": world.app.id,
            "service": world.service()["id"],
            "vhost": endpoint.id,
            "release": release.operation_id,
        }
