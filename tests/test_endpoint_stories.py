"""Services with an endpoint: new containers beside the old, then the switch (SPEC 6.3, 6.4).

On a real Redis, with an Engine and a router in memory, and a real HTTP server that every container
seems to run.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from one_app import ANN, OneApp
from routes_double import RoutesDouble

from enclave.changes import Changes
from enclave.codec import encode
from enclave.endpoint import Endpoint, EndpointStatus
from enclave.errors import Conflict, ContainerDied
from enclave.operation import Operation, OperationStatus, OperationType, Source
from enclave.pushed_config import PushedConfig
from enclave.store import Store, keys
from enclave.store.followers import LAST_WORDS_SECONDS
from worker import serve

A = "a" * 40
TWO = "web: serve\nworker: work\n"


class Answers(BaseHTTPRequestHandler):
    """Answers what the test has set, and remembers what was asked."""

    status = 404
    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Host"]))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def answers() -> Iterator[type[Answers]]:
    Answers.status, Answers.asked = 404, []
    yield Answers


@pytest.fixture
def port(answers: type[Answers]) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


class Platform(OneApp):
    """With a router in memory that remembers which services ran whenever it was told something."""

    def __init__(self, store: Store, data: Path) -> None:
        super().__init__(store, data)
        self.routes = RoutesDouble(self.running)
        store.routes = self.routes  # type: ignore[assignment]

    def running(self) -> list[str]:
        return sorted(
            f"{each.labels['enclave.service']} of {each.labels['enclave.operation']}"
            for each in self.engine.all.values()
            if each.running and "enclave.service" in each.labels
        )

    def endpoint(self, port: int | None, process_type: str = "web", **more: object) -> Endpoint:
        given = {"default": True, **more}
        return self.store.endpoints.create(self.app.id, process_type, port=port, **given)  # type: ignore[arg-type]


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> Platform:
    platform = Platform(store, tmp_path)
    platform.done(
        OperationType.DEPLOY,
        Changes(image="one:1", environment={"RELEASE_HEALTHCHECK_TIMEOUT": "1"}),
        source=Source.COMMIT,
        pushed=PushedConfig(A, TWO),
    )
    return platform


@pytest.fixture
def routed(platform: Platform, port: int) -> Platform:
    platform.done(OperationType.PROVISION, endpoint=platform.endpoint(port))
    platform.routes.told.clear()
    return platform


def failed(platform: Platform, operation: Operation) -> list[str]:
    platform.work()
    assert platform.status(operation) is OperationStatus.FAILED, platform.log(operation)
    return platform.log(operation)


class TestProvisioning:
    def test_the_name_leads_to_every_container_of_the_service(
        self, platform: Platform, port: int, answers: type[Answers]
    ) -> None:
        endpoint = platform.endpoint(port, ip_whitelist=("10.0.0.0/8",))
        operation = platform.done(OperationType.PROVISION, endpoint=endpoint)
        (route,) = platform.routes.wanted.values()
        assert route.hosts == (f"app-{platform.app.id}.localhost",)
        assert [(each.address, each.port) for each in route.targets] == [("127.0.0.1", port)]
        assert route.ip_whitelist == ("10.0.0.0/8",)
        assert platform.state.endpoints == (endpoint,)
        assert platform.state.release == 1  # it makes no release
        assert platform.store.endpoints.endpoint(endpoint.id)[1] is EndpointStatus.PROVISIONED
        assert answers.asked == [("/", f"app-{platform.app.id}.localhost")]
        host = f"app-{platform.app.id}.localhost"
        assert platform.log(operation)[-2] == f"INFO: Endpoint provisioned: {host}"
        assert platform.running() == ["web of 1", "worker of 1"]  # nobody was restarted

    def test_another_certificate_waits_for_no_answer(
        self, routed: Platform, answers: type[Answers]
    ) -> None:
        """An app that is sick for a moment does not keep its old certificate for that."""
        (endpoint,) = routed.state.endpoints
        before = routed.routes.wanted[endpoint.id]
        answers.asked.clear()
        changed = replace(endpoint, certificate_id=5, ip_whitelist=("10.0.0.0/8",))
        routed.done(OperationType.PROVISION, endpoint=changed)
        assert answers.asked == []
        assert routed.state.endpoints == (changed,)
        assert routed.routes.wanted[endpoint.id] == replace(
            before, certificate_id=5, ip_whitelist=("10.0.0.0/8",)
        )
        assert routed.running() == ["web of 1", "worker of 1"]

    def test_a_certificate_that_the_router_cannot_serve_changes_nothing(
        self, routed: Platform
    ) -> None:
        (endpoint,) = routed.state.endpoints
        before = routed.routes.wanted[endpoint.id]
        routed.routes.unserved = {5}
        wanted = replace(endpoint, certificate_id=5)
        operation = routed.ask(OperationType.PROVISION, endpoint=wanted)
        assert "Certificate 5 cannot be served" in failed(routed, operation)[-2]
        assert routed.state.endpoints == (endpoint,)
        assert routed.routes.wanted[endpoint.id] == before

    def test_another_port_that_nobody_answers_on_changes_nothing(self, routed: Platform) -> None:
        (endpoint,) = routed.state.endpoints
        before = routed.routes.wanted[endpoint.id]
        operation = routed.ask(OperationType.PROVISION, endpoint=replace(endpoint, port=1))
        assert "GET / on port 1" in failed(routed, operation)[-2]
        assert routed.state.endpoints == (endpoint,)
        assert routed.routes.wanted[endpoint.id] == before
        assert routed.store.endpoints.endpoint(endpoint.id)[1] is EndpointStatus.PROVISIONED

    def test_nothing_that_answers_fails_it(self, platform: Platform) -> None:
        endpoint = platform.endpoint(1)
        log = failed(platform, platform.ask(OperationType.PROVISION, endpoint=endpoint))
        assert "did not become healthy within 1 s: GET / on port 1" in log[-2]
        assert platform.routes.wanted == {}
        assert platform.state.endpoints == ()
        assert platform.store.endpoints.endpoint(endpoint.id)[1] is EndpointStatus.PENDING

    def test_without_a_port_and_without_exposed_ones_it_fails(self, platform: Platform) -> None:
        operation = platform.ask(OperationType.PROVISION, endpoint=platform.endpoint(None))
        assert "the image exposes no port" in failed(platform, operation)[-2]

    def test_deprovisioning_frees_the_name(self, routed: Platform) -> None:
        (endpoint,) = routed.state.endpoints
        with pytest.raises(Conflict):
            routed.endpoint(80)
        routed.done(OperationType.DEPROVISION, endpoint=endpoint)
        assert routed.routes.wanted == {}
        assert routed.state.endpoints == ()
        assert routed.store.endpoints.endpoint(endpoint.id)[1] is EndpointStatus.DEPROVISIONED
        assert routed.store.endpoints.of_app(routed.app.id) == []
        assert routed.endpoint(80).id != endpoint.id
        assert routed.running() == ["web of 1", "worker of 1"]

    def test_the_end_of_the_app_is_the_end_of_its_endpoints(self, routed: Platform) -> None:
        (endpoint,) = routed.state.endpoints
        routed.done(OperationType.DEPROVISION)
        assert routed.routes.wanted == {}
        assert routed.routes.told[0] == ("remove", endpoint.id, ["web of 1", "worker of 1"])
        assert routed.store.endpoints.endpoint(endpoint.id)[1] is EndpointStatus.DEPROVISIONED

    @pytest.mark.parametrize("domain", ["localhost", "app-9.localhost", "x.localhost"])
    def test_nobody_takes_a_name_of_the_installations(
        self, platform: Platform, domain: str
    ) -> None:
        with pytest.raises(Exception, match="localhost"):
            platform.endpoint(80, default=False, domain=domain)


class TestZeroDowntime:
    def test_the_new_are_healthy_before_requests_go_to_them_and_the_old_go_last(
        self, routed: Platform, answers: type[Answers]
    ) -> None:
        operation = routed.done(OperationType.DEPLOY)
        new = operation.id
        (endpoint,) = routed.state.endpoints
        assert routed.routes.told == [
            ("set", endpoint.id, ["web of 1", f"web of {new}", f"worker of {new}"]),
            ("drained", endpoint.id, ["web of 1", f"web of {new}", f"worker of {new}"]),
        ]
        assert routed.running() == [f"web of {new}", f"worker of {new}"]
        assert len(answers.asked) == 2  # one at provisioning, one for the new container

    @pytest.mark.parametrize("followed", [True, False])
    def test_last_words_are_waited_for_while_somebody_follows(
        self, routed: Platform, monkeypatch: pytest.MonkeyPatch, *, followed: bool
    ) -> None:
        waited: list[tuple[float, list[str]]] = []
        clock = SimpleNamespace(sleep=lambda seconds: waited.append((seconds, routed.running())))
        monkeypatch.setattr(serve, "time", clock)
        if followed:
            routed.store.followers.join(routed.app.id)
        new = routed.done(OperationType.DEPLOY).id
        running = [f"web of {new}", f"worker of {new}"]  # the old ones are stopped, and there
        assert waited == ([(LAST_WORDS_SECONDS, running)] if followed else [])

    def test_one_that_never_answers_well_is_rolled_back_and_the_old_never_stopped(
        self, routed: Platform, answers: type[Answers]
    ) -> None:
        (endpoint,) = routed.state.endpoints
        before = routed.routes.wanted[endpoint.id]
        beside: list[str] = []
        routed.engine.on["settle", "worker"] = lambda: beside.extend(routed.running())
        answers.status = 500
        changes = Changes(environment={"STRICT_HEALTH_CHECKS": "true"})
        operation = routed.ask(OperationType.DEPLOY, changes)
        log = failed(routed, operation)
        assert "it answered 500" in log[-2]
        assert {"web of 1", f"web of {operation.id}", "worker of 1"} == set(beside)
        assert routed.running() == ["web of 1", "worker of 1"]
        assert routed.routes.wanted[endpoint.id] == before

    def test_a_failure_behind_the_switch_gets_the_requests_back_first(
        self, routed: Platform
    ) -> None:
        operation = routed.ask(
            OperationType.DEPLOY,
            source=Source.COMMIT,
            pushed=PushedConfig("b" * 40, TWO, "after_deploy_success: late\n"),
        )
        operations = routed.store.operations

        def cancel() -> None:
            operations.cancel(operations.operation(operation.id), by=ANN)

        routed.engine.on["run", "worker"] = cancel
        failed(routed, operation)
        events = [(what, running) for what, _, running in routed.routes.told]
        new = operation.id
        assert events == [
            ("set", ["web of 1", f"web of {new}", f"worker of {new}"]),
            ("set", ["web of 1", f"web of {new}", "worker of 1"]),  # before the new one goes
            ("drained", ["web of 1", f"web of {new}", "worker of 1"]),
        ]
        assert routed.running() == ["web of 1", "worker of 1"]

    def test_a_router_that_is_away_fails_the_deploy(
        self, routed: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.roll_back._SECONDS", 0.0)
        routed.routes.away = True
        log = failed(routed, routed.ask(OperationType.DEPLOY))
        assert log[-2] == "ERROR: The router does not follow."
        assert "ERROR: Could not roll back: The router does not follow." in log
        routed.routes.away = False
        routed.work()  # it is tidied
        assert routed.running() == ["web of 1", "worker of 1"]

    def test_scaling_another_service_touches_no_route(self, routed: Platform) -> None:
        routed.done(OperationType.SCALE, Changes(container_count=2), process_type="worker")
        assert routed.routes.told == []

    def test_scaling_it_leads_to_all_of_them(self, routed: Platform) -> None:
        (endpoint,) = routed.state.endpoints
        routed.done(OperationType.SCALE, Changes(container_count=0), process_type="web")
        assert routed.routes.wanted[endpoint.id].targets == ()
        assert routed.running() == ["worker of 1"]

    def test_a_service_that_vanished_keeps_its_name_and_answers_nothing(
        self, routed: Platform
    ) -> None:
        (endpoint,) = routed.state.endpoints
        operation = routed.done(
            OperationType.DEPLOY, source=Source.COMMIT, pushed=PushedConfig("b" * 40, "worker: x\n")
        )
        warned = [line for line in routed.log(operation) if line.startswith("WARN")]
        assert warned == [
            "WARN: The service web is not in this release: its containers stop once it is live.",
            f"WARN: The endpoint {endpoint.host('localhost')} leads to the service web, which is "
            "not in this release: it answers 503 until there is one of that name again.",
        ]
        assert routed.routes.wanted[endpoint.id].targets == ()
        assert routed.state.endpoints == (endpoint,)

    def test_a_service_that_vanished_needs_no_port(self, platform: Platform) -> None:
        endpoint = platform.endpoint(None)
        state = replace(platform.state, endpoints=(endpoint,))
        fields = platform.store.database.redis
        fields.hset(keys.app(platform.app.id), "state", encode(state))
        pushed = PushedConfig("b" * 40, "worker: x\n")
        platform.done(OperationType.DEPLOY, source=Source.COMMIT, pushed=pushed)
        assert platform.routes.wanted[endpoint.id].targets == ()


class TestHealth:
    def test_strict_checks_want_a_200_from_healthcheck(
        self, routed: Platform, answers: type[Answers]
    ) -> None:
        answers.status = 200
        answers.asked.clear()
        routed.done(OperationType.CONFIGURE, Changes(environment={"STRICT_HEALTH_CHECKS": "true"}))
        assert answers.asked == [("/healthcheck", f"app-{routed.app.id}.localhost")]
        answers.status = 404
        log = failed(routed, routed.ask(OperationType.RESTART))
        assert "GET /healthcheck" in log[-2]

    def test_no_time_is_no_waiting(self, routed: Platform, answers: type[Answers]) -> None:
        answers.asked.clear()
        changes = Changes(environment={"RELEASE_HEALTHCHECK_TIMEOUT": "0"})
        routed.done(OperationType.CONFIGURE, changes)
        assert answers.asked == []

    def test_one_that_dies_while_it_is_asked_fails_at_once(
        self, routed: Platform, answers: type[Answers]
    ) -> None:
        answers.status = 500
        changes = Changes(
            environment={"STRICT_HEALTH_CHECKS": "true", "RELEASE_HEALTHCHECK_TIMEOUT": "900"}
        )

        def settle(*_: object, **__: object) -> None:
            raise ContainerDied("It died of 500s.")

        routed.engine.settle = settle  # type: ignore[method-assign]
        log = failed(routed, routed.ask(OperationType.CONFIGURE, changes))
        assert log[-2] == "ERROR: It died of 500s."
