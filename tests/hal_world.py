"""An installation in any state: environments, and apps in every stage of their lives."""

from __future__ import annotations

from dataclasses import dataclass, field

from certificates import given_certificate
from hypothesis import strategies as st

from enclave.app import App, AppSecrets, AppState, Service
from enclave.changes import Changes
from enclave.endpoint import EndpointStatus
from enclave.handles import RESERVED_PREFIX
from enclave.operation import OperationRequest, OperationStatus, OperationType, Source
from enclave.people import Environment, Role, User
from enclave.pushed_config import PushedConfig
from enclave.release import Release
from enclave.store import Store
from enclave.store.leases import Ending, EndpointEnd

HANDLES = st.from_regex(r"[0-9a-z._-]{1,12}", fullmatch=True).filter(
    lambda handle: not handle.startswith(RESERVED_PREFIX)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), TEXTS)
TYPES = st.sets(st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True), min_size=1, max_size=3)
COMMIT = "a" * 40
DIGEST = "sha256:" + "d" * 64


@dataclass(frozen=True, slots=True)
class Life:
    """What has happened to an app, in the order of the fields."""

    handle: str
    variables: dict[str, str]
    services: set[str] | None
    endpoints: bool
    commit: bool
    shrinks: bool
    waits: bool
    renamed: str | None
    deprovisioned: bool


LIVES = st.builds(
    Life,
    handle=HANDLES,
    variables=VARIABLES,
    services=st.none() | TYPES,
    endpoints=st.booleans(),
    commit=st.booleans(),
    shrinks=st.booleans(),
    waits=st.booleans(),
    renamed=st.none() | HANDLES,
    deprovisioned=st.booleans(),
)
WORLDS = st.lists(
    st.lists(LIVES, max_size=3, unique_by=lambda life: life.handle), min_size=1, max_size=3
)

_DONE = OperationStatus.SUCCEEDED
_CHAIN, _KEY = given_certificate("www.example.com")


@dataclass(slots=True)
class World:
    """A user who is a member of every environment, and a colleague who asked for things, too."""

    store: Store
    user: User
    colleague: User
    apps: list[App] = field(default_factory=list)

    def environment(self, handle: str, lives: list[Life]) -> Environment:
        """Make an environment whose apps have had these lives."""
        environment = self.store.apps.create_environment(handle)
        for person in (self.user, self.colleague):
            self.store.people.set_role(person, environment.id, Role.ADMIN)
        for life in lives:
            self.apps.append(self._live(environment, life))
        return environment

    def _live(self, environment: Environment, life: Life) -> App:
        app = self.store.apps.create(environment, life.handle)
        self.store.webhooks.create(app.id, "https://www.example.com/hook", "s" * 16)
        secrets = AppSecrets(life.variables)
        if life.variables:
            stored = Ending(_DONE, "", state=AppState(), secrets=secrets, stays_pending=True)
            self._succeed(app, OperationType.CONFIGURE, stored)
        if life.services is not None:
            self._deploy(app, life, sorted(life.services))
            if life.endpoints:
                self._add_endpoints(environment, app, sorted(life.services))
            if life.shrinks:
                self._deploy(app, life, ["other"])
        if life.waits and not life.deprovisioned:
            self._submit(app, OperationType.DEPLOY, self.colleague, source=Source.DETACH)
            self._submit(app, OperationType.RESTART, self.user)
        if life.renamed and not self.store.apps.index.named([environment.id], life.renamed):
            app = self.store.apps.rename(app, life.renamed)
        if life.deprovisioned:
            gone = Ending(_DONE, "", state=AppState(), secrets=AppSecrets(), deprovisions=True)
            self._succeed(app, OperationType.DEPROVISION, gone)
        return self.store.apps.app(app.id)

    def _deploy(self, app: App, life: Life, types: list[str]) -> None:
        number = self.store.apps.newest_release(app.id) + 1
        pushed = PushedConfig(COMMIT) if life.commit else None
        services = tuple(Service(each, None if life.commit else each, 1) for each in types)
        source = Source.COMMIT if life.commit else Source.DETACH
        operation = self._submit(app, OperationType.DEPLOY, self.user, source=source, pushed=pushed)
        release = Release(
            number=number,
            app_id=app.id,
            operation_id=operation,
            fence="1",
            user_email=self.user.email,
            created_at="2017-01-01T00:00:00.000Z",
            image="nginx:1",
            pinned=f"docker.io/library/nginx@{DIGEST}",
            image_id="sha256:1",
            pushed=pushed,
            services=(),
            sealed_configuration="",
            detached=not life.commit,
            exposed_ports=(80,),
        )
        state = AppState("nginx:1", pushed, not life.commit, services, release=number)
        secrets = AppSecrets(life.variables)
        self._finish(app, Ending(_DONE, "Deploy succeeded.", False, state, secrets, release))
        scale = OperationRequest(
            app.id, OperationType.SCALE, self.user.id, self.user.email, process_type=types[0]
        )
        self.store.operations.submit(scale, Changes(container_count=2))
        self._finish(app, Ending(OperationStatus.FAILED, "it broke"))

    def _add_endpoints(self, environment: Environment, app: App, types: list[str]) -> None:
        certificate = self.store.certificates.add(environment.id, _CHAIN, _KEY)
        first = self.store.endpoints.create(app.id, types[0], default=True)
        self.store.endpoints.create(
            app.id,
            types[-1],
            domain=f"app{app.id}.example.com",
            ip_whitelist=("10.0.0.0/8",),
            certificate_id=certificate.id,
        )
        request = OperationRequest(
            app.id, OperationType.DEPROVISION, self.user.id, self.user.email, endpoint=first
        )
        self.store.operations.submit(request, Changes())
        end = EndpointEnd(first.id, EndpointStatus.DEPROVISIONED, first.host("localhost"))
        self._finish(app, Ending(_DONE, "", endpoints=(end,)))

    def _submit(
        self,
        app: App,
        type_: OperationType,
        by: User,
        *,
        source: Source = Source.KEEP,
        pushed: PushedConfig | None = None,
    ) -> int:
        request = OperationRequest(app.id, type_, by.id, by.email, source=source, pushed=pushed)
        return self.store.operations.submit(request, Changes(image="nginx:1")).id

    def _succeed(self, app: App, type_: OperationType, ending: Ending) -> None:
        self._submit(app, type_, self.user)
        self._finish(app, ending)

    def _finish(self, app: App, ending: Ending) -> None:
        lease = self.store.leases.take(app.id, holder="w", seconds=60)
        assert lease is not None
        self.store.leases.finish(lease, ending)
