"""What ``aptible`` asks for beside a deploy, what it prints, and how it exits."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from api_app import DIGEST, A, ApiApp
from certificates import given_certificate
from terminal import SECONDS, Terminal

from enclave.app import AppSecrets, ServiceSettings
from enclave.changes import Changes
from enclave.endpoint import EndpointStatus
from enclave.operation import Operation, OperationStatus, OperationType
from enclave.store import Store
from enclave.store.leases import Ending, EndpointEnd, Lease
from enclave.tokens import issue_token
from testbed.processes import wait_until
from toolbelt.endpoints import EndpointWish, check_endpoint
from toolbelt.errors import ToolbeltError

Done = Future[tuple[Operation, Changes]]


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    world = ApiApp(store, tmp_path)
    world.put_live()
    return world


@pytest.fixture
def me(world: ApiApp, served: str, tmp_path: Path) -> Terminal:
    home = tmp_path / "home"
    home.mkdir()
    terminal = Terminal(home, served)
    admin = world.store.people.user_by_email("admin@example.com")
    issued = issue_token(world.store, admin, url=served, seconds=60, scope="manage")
    terminal.environment["APTIBLE_ACCESS_TOKEN"] = issued.access_token
    return terminal


@pytest.fixture
def worker(world: ApiApp) -> Iterator[Callable[..., Done]]:
    """Runs the next operation as a worker would; returns what it was."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda **how: pool.submit(work, world, **how)


def work(world: ApiApp, *, succeeds: bool = True) -> tuple[Operation, Changes]:
    taken: list[Lease] = []

    def take() -> bool:
        lease = world.store.leases.take(world.created.id, holder="w1", seconds=60)
        taken.extend([lease] if lease else [])
        return bool(taken)

    wait_until(take, seconds=SECONDS, what="no operation was queued")
    (lease,) = taken
    operation = world.store.operations.operation(lease.operation_id)
    changes = world.store.operations.changes(operation.id)
    world.store.logs.append(lease, [f"INFO: {operation.request.type}"])
    endpoint, ended = operation.request.endpoint, ()
    if endpoint is not None:
        provisions = operation.request.type is OperationType.PROVISION
        status = EndpointStatus.PROVISIONED if provisions else EndpointStatus.DEPROVISIONED
        ended = (EndpointEnd(endpoint.id, status, endpoint.host("localhost")),)
    world.store.leases.finish(
        lease,
        Ending(
            OperationStatus.SUCCEEDED if succeeds else OperationStatus.FAILED,
            "",
            state=world.app.state,
            secrets=AppSecrets(changes.environment),
            endpoints=ended,
        ),
    )
    return operation, changes


@pytest.mark.parametrize(
    ("command", "type_", "doing", "changes"),
    [
        ("restart", "restart", "Restarting app...", Changes()),
        ("rebuild", "rebuild", "Rebuilding app...", Changes()),
        ("rollback 1", "rollback", "Rolling back to release 1...", Changes(image="nginx:1")),
        ("apps:deprovision", "deprovision", "Deprovisioning web...", Changes()),
        (
            "config:set A=1 'B=two words' C=",
            "configure",
            "Updating configuration and restarting app...",
            Changes(environment={"A": "1", "B": "two words", "C": ""}),
        ),
        ("config:add A=-1", "configure", "Updating", Changes(environment={"A": "-1"})),
        ("config:rm A B", "configure", "Updating", Changes(environment={"A": "", "B": ""})),
        ("config:unset A", "configure", "Updating", Changes(environment={"A": ""})),
        (
            "apps:scale worker --container-count 0 --container-size 256",
            "scale",
            "Scaling worker...",
            Changes(container_count=0, container_size=256),
        ),
        ("apps:scale web --container-size 64", "scale", "Scaling", Changes(container_size=64)),
        ("deploy --container-size 64", "deploy", "Deploying", Changes(container_size=64)),
    ],
)
def test_each_follows_its_operation(
    me: Terminal,
    worker: Callable[..., Done],
    *,
    command: str,
    type_: str,
    doing: str,
    changes: Changes,
) -> None:
    running = worker()
    done = me.run(f"{command} --app web")
    operation, asked = running.result()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"INFO: {type_}\n"
    assert done.stderr.startswith(doing)
    assert f"(operation #{operation.id})" in done.stderr
    assert (operation.request.type, asked) == (type_, changes)


@pytest.mark.parametrize(
    "command", ["restart", "rollback 1", "config:rm A", "apps:scale web --container-count 2"]
)
def test_a_failure_is_the_exit_status(
    me: Terminal, worker: Callable[..., Done], command: str
) -> None:
    running = worker(succeeds=False)
    done = me.run(f"{command} --app web")
    operation, _ = running.result()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"Operation #{operation.id} failed."


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("rollback 9", "The app prod/web has no release 9"),
        ("apps:scale web", "Provide at least --container-count or --container-size"),
        (
            "apps:scale nope --container-count 2",
            "Service with type nope does not exist for app web. Valid types: web, worker.",
        ),
        ("apps:scale web --container-count 5000", "from 0 to 1000"),
        ("config:set A", "Invalid argument: A"),
        ("config:set --restrat", "Invalid argument: --restrat"),
        ("config:rm --restrat", "Invalid argument: --restrat"),
        ("config:rm A=1", "cannot name a variable"),
        ("config:get A", "The variable A is not set"),
        ("services:settings web", "Provide --stop-timeout"),
        ("services:settings web --stop-timeout long", "--stop-timeout is a number of seconds"),
        ("services:settings web --stop-timeout 901", "stop_timeout"),
        ("endpoints:deprovision x.example.com", "hostname x.example.com does not exist"),
        ("endpoints:https:create web", "An endpoint needs a name"),
        ("endpoints:https:create web 10.0.0.1 --default-domain", "Invalid argument: 10.0.0.1"),
        ("endpoints:https:create nope --default-domain", "Service with type nope does not exist"),
    ],
)
def test_what_is_refused_says_why(me: Terminal, world: ApiApp, command: str, words: str) -> None:
    assert words in me.refuses(f"{command} --app web")
    assert world.store.operations.unfinished(world.app.id) == []


@pytest.mark.parametrize("command", ["config:set", "config:rm", "rollback", "rollback x"])
def test_what_is_mistyped_has_status_2(me: Terminal, command: str) -> None:
    assert me.run(f"{command} --app web").returncode == 2


def test_an_app_that_was_never_deployed(me: Terminal, world: ApiApp) -> None:
    world.store.apps.create(world.environment, "new")
    assert "never deployed" in me.refuses("restart --app new")
    assert "Valid types: NONE (deploy the app first)." in me.refuses(
        "apps:scale web --app new --container-count 1"
    )
    assert me.says("releases --app new") == me.says("endpoints:list --app new") == ""


def test_one_variable(me: Terminal, worker: Callable[..., Done]) -> None:
    running = worker()
    me.says("config:set --app web 'A=it is'")
    running.result()
    assert me.says("config:get --app web A") == "it is\n"
    me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
    assert json.loads(me.says("config:get --app web A")) == {"key": "A", "value": "it is"}


def test_releases(me: Terminal, world: ApiApp) -> None:
    for number in range(2, 8):
        world.put_live(number, image=f"nginx:{number}", commit=None)
    world.store.images.expire(world.app.id, 2)
    lines = me.says("releases --app web").splitlines()
    assert lines[0].split() == [
        *("NUMBER", "STATUS", "TIME", "BY", "TYPE", "COMMIT", "IMAGE", "DIGEST")
    ]
    assert lines[1].split() == [
        *("7", "live", "2017-01-01T00:00:07.000Z", "ann@example.com", "deploy"),
        *("-", "nginx:7", DIGEST[:19]),
    ]
    assert lines[-1].split()[:2] == ["1", "expired"]
    assert lines[-1].split()[5] == A[:8]
    me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
    listed = json.loads(me.says("releases --app web"))
    assert [each["status"] for each in listed] == ["live", *["kept"] * 4, *["expired"] * 2]
    assert listed[-1] == {
        "number": 1,
        "status": "expired",
        "type": "deploy",
        "created_at": "2017-01-01T00:00:01.000Z",
        "user_email": "ann@example.com",
        "image": "nginx:1",
        "digest": DIGEST,
        "git_ref": A,
    }


@pytest.mark.usefixtures("world")
def test_activity(me: Terminal) -> None:
    assert me.run("services:settings --app web web --stop-timeout 5").returncode == 0
    head, newest, *_ = me.says("activity --app web").splitlines()
    assert head.split() == ["TIME", "BY", "WHAT", "ABOUT", "SHOWED", "FROM", "WITH"]
    assert newest.split()[1:4] == ["admin@example.com", "service.configure", "web"]
    me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
    (listed,) = json.loads(me.says("activity --app web --newest 1"))
    assert (listed["action"], listed["remote_address"]) == ("service.configure", "127.0.0.1")


def test_the_time_to_stop(me: Terminal, world: ApiApp) -> None:
    for given, stored in (("0", 0), ("900", 900), ("default", None)):
        me.says(f"services:settings web --app web --stop-timeout {given}")
        settings = world.store.apps.service_settings(world.app.id)
        assert settings == {"web": ServiceSettings(stored)}


class TestEndpoints:
    def test_from_creation_to_its_end(
        self, me: Terminal, world: ApiApp, worker: Callable[..., Done]
    ) -> None:
        host = f"app-{world.app.id}.localhost"
        running = worker()
        said = me.says(
            "endpoints:https:create --app web web --default-domain --port 3000 "
            "--ip-whitelist 10.0.0.0/8 192.168.0.1"
        )
        running.result()
        for line in (
            "INFO: provision",
            f"Hostname: {host}",
            "Status: provisioned",
            "Type: https",
            "Port: 3000",
            "Internal: false",
            "IP Whitelist: 10.0.0.0/8 192.168.0.1/32",
            f"Default Domain: {host}",
            "Managed TLS Enabled: false",
            "Service: web",
        ):
            assert line in said.splitlines()
        listed = me.says("endpoints:list --app web")
        assert said.endswith(listed)
        me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
        (endpoint,) = json.loads(me.says("endpoints:list --app web"))
        assert endpoint["hostname"] == host
        assert endpoint["service"]["service"] == "web"

        assert f"(valid hostnames: {host})" in me.refuses("endpoints:deprovision --app web x")
        running = worker()
        assert me.says(f"endpoints:deprovision --app web {host}") == "INFO: deprovision\n"
        running.result()
        assert json.loads(me.says("endpoints:list --app web")) == []

    def test_by_its_id_where_the_service_is_gone(
        self, me: Terminal, world: ApiApp, worker: Callable[..., Done]
    ) -> None:
        endpoint = world.store.endpoints.create(world.app.id, "worker", domain="www.example.com")
        services = tuple(s for s in world.app.state.services if s.process_type == "web")
        world.put_live(2, services=services)
        assert "Service: worker" in me.says("endpoints:list --app web")
        running = worker()
        me.says(f"endpoints:deprovision --app web {endpoint.id}")
        assert running.result()[0].request.endpoint == endpoint

    def test_one_that_cannot_be_provisioned(
        self, me: Terminal, worker: Callable[..., Done]
    ) -> None:
        running = worker(succeeds=False)
        done = me.run("endpoints:https:create --app web web --domain www.example.com")
        running.result()
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "To give its name free: aptible endpoints:deprovision www.example.com"
        )

    @pytest.mark.parametrize(
        ("wish", "words"),
        [
            (EndpointWish(certificate_file="c"), "Missing --private-key-file"),
            (EndpointWish(private_key_file="k"), "Missing --certificate-file"),
            (
                EndpointWish(certificate_file="c", private_key_file="k", default_domain=True),
                "Conflicting options provided: --certificate-file, --private-key-file, "
                "--default-domain",
            ),
            (
                EndpointWish(domain="d", default_domain=True),
                "Conflicting options provided: --domain, --default-domain",
            ),
            (
                EndpointWish(
                    certificate_file="c", private_key_file="k", certificate_fingerprint="f"
                ),
                "--certificate-file, --private-key-file, --certificate-fingerprint",
            ),
        ],
        ids=["no key", "no certificate", "default domain", "two names", "two certificates"],
    )
    def test_options_that_cannot_be_meant(self, wish: EndpointWish, words: str) -> None:
        with pytest.raises(ToolbeltError) as refused:
            check_endpoint(wish)
        assert words in str(refused.value)

    def test_options_that_go_together(self) -> None:
        wish = EndpointWish(domain="d", certificate_file="c", private_key_file="k")
        for fine in (wish, replace(wish, domain=None), EndpointWish(default_domain=True)):
            check_endpoint(fine)

    def test_a_certificate_from_files_and_again_by_its_fingerprint(
        self, me: Terminal, world: ApiApp, worker: Callable[..., Done]
    ) -> None:
        chain, key = given_certificate("a.example.com", "b.example.com")
        (me.directory / "c.pem").write_text(chain)
        (me.directory / "k.pem").write_text(key)
        running = worker()
        create = "endpoints:https:create --app web web"
        files = "--certificate-file c.pem --private-key-file k.pem"
        assert "Hostname: a.example.com" in me.says(f"{create} {files}")
        first = running.result()[0].request.endpoint
        (certificate,) = world.store.certificates.of_environment(world.environment.id)
        running = worker()
        by_print = f"--certificate-fingerprint {certificate.sha256[:10]}"
        assert "Hostname: b.example.com" in me.says(f"{create} --domain b.example.com {by_print}")
        second = running.result()[0].request.endpoint
        assert first is not None
        assert second is not None
        assert first.certificate_id == second.certificate_id == certificate.id
        assert "No certificate matches fingerprint 0x" in me.refuses(
            f"{create} --certificate-fingerprint 0x"
        )

    def test_another_certificate_and_whitelist(
        self, me: Terminal, world: ApiApp, worker: Callable[..., Done]
    ) -> None:
        endpoint = world.store.endpoints.create(world.app.id, "web", domain="www.example.com")
        chain, key = given_certificate("www.example.com")
        (me.directory / "c.pem").write_text(chain)
        (me.directory / "k.pem").write_text(key)
        modify = "endpoints:https:modify --app web www.example.com"
        assert "Nothing is to be changed" in me.refuses(modify)
        assert "Conflicting" in me.refuses(f"{modify} --ip-whitelist 10.0.0.1 --no-ip-whitelist")

        files = "--certificate-file c.pem --private-key-file k.pem"
        running = worker()
        done = me.run(f"{modify} {files} --port 3000 --ip-whitelist 10.0.0.1 10.0.0.2")
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("Modifying www.example.com...")
        (certificate,) = world.store.certificates.of_environment(world.environment.id)
        assert running.result()[0].request.endpoint == replace(
            endpoint,
            port=3000,
            ip_whitelist=("10.0.0.1/32", "10.0.0.2/32"),
            certificate_id=certificate.id,
        )
        running = worker()
        me.says(f"{modify} --no-ip-whitelist")
        changed = running.result()[0].request.endpoint
        assert changed is not None
        assert (changed.port, changed.ip_whitelist) == (3000, ())

    def test_files_that_are_not_there(self, me: Terminal, world: ApiApp) -> None:
        said = me.refuses(
            "endpoints:https:create --app web web --domain www.example.com "
            "--certificate-file none.pem --private-key-file none.key"
        )
        assert said.startswith("Failed to read certificate or private key file:")
        assert world.store.endpoints.of_app(world.app.id) == []
