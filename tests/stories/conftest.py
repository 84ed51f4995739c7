"""The real parts that stories are told with. Nothing is skipped: a missing part is a failure.

Each is started once a session, privately, and gone without a trace at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.person import Finished, Person, Repository
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

ENVIRONMENT = "stories"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    """A Docker Engine of this session alone; DOCKER_HOST is ``engine.url``."""
    with PrivateEngine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that asks for ``registry.username`` and ``registry.password``."""
    with PrivateRegistry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def images(engine: PrivateEngine, registry: PrivateRegistry) -> Images:
    """Images by need: ``images.web("2")`` is a reference to deploy, pushed to the registry."""
    return Images(engine.url, registry)


@pytest.fixture(scope="session")
def installation(engine: PrivateEngine) -> Iterator[Installation]:
    """``enclave up``, with two workers."""
    with Installation(engine.url) as installation:
        yield installation


@pytest.fixture(scope="session")
def ann(installation: Installation) -> Person:
    """The admin of the environment ``stories``, logged in."""
    return admin_of(installation, "ann@example.com")


def admin_of(installation: Installation, email: str) -> Person:
    """Make the environment ``stories``, and return its admin, logged in."""
    admin = installation.person(email)
    installation.enclave("environment", "create", ENVIRONMENT, "--admin", email)
    admin.log_in()
    return admin


@dataclass(frozen=True, slots=True)
class App:
    """One app of Ann's, with an empty repository whose remote ``aptible`` it is."""

    handle: str
    owner: Person
    repository: Repository
    registry: PrivateRegistry
    installation: Installation

    @classmethod
    def create(
        cls, handle: str, owner: Person, registry: PrivateRegistry, installation: Installation
    ) -> App:
        """``aptible apps:create HANDLE``: an app that is pending."""
        owner.aptible("apps:create", handle, "--environment", ENVIRONMENT).check_returncode()
        repository = owner.repository(f"{ENVIRONMENT}/{handle}")
        return cls(handle, owner, repository, registry, installation)

    @property
    def name(self) -> str:
        """``stories/HANDLE``."""
        return f"{ENVIRONMENT}/{self.handle}"

    def deploy(self, *arguments: str) -> Finished:
        """``aptible deploy --app HANDLE …``."""
        return self.owner.aptible("deploy", "--app", self.handle, *arguments)

    def deploy_image(self, image: str, *arguments: str) -> Finished:
        """Deploy an image of the session's registry, with its credentials."""
        return self.deploy(
            *("--docker-image", image),
            *("--private-registry-username", self.registry.username),
            *("--private-registry-password", self.registry.password),
            *arguments,
        )

    def serving(self) -> dict[str, int]:
        """How many containers run, by service."""
        services = [each["service"] for each in self.installation.containers(self.name)]
        return {service: services.count(service) for service in sorted(set(services))}

    def comes_to_serve(self, **services: int) -> None:
        """Wait until these run and no other is there, running or not.

        Services that vanished are stopped after a release; what it replaced goes after it, too.
        """
        wait_until(
            lambda: (
                self.serving() == services
                and len(self.installation.containers(self.name, every=True))
                == sum(services.values())
            ),
            seconds=30,
            what=f"{self.name} runs {self.serving()}, not {services}",
        )

    def get(self, path: str = "/", *, service: str | None = None) -> str:
        """Ask one of its containers over HTTP."""
        return self.installation.get(self.name, path, service=service)


@pytest.fixture(scope="session")
def new_app(
    installation: Installation, ann: Person, registry: PrivateRegistry
) -> Callable[[], App]:
    """Makes another app of Ann's: stories share a platform, never an app."""
    numbers = count(1)

    def create() -> App:
        return App.create(f"app-{next(numbers)}", ann, registry, installation)

    return create


@pytest.fixture
def app(new_app: Callable[[], App]) -> App:
    """A new app, pending."""
    return new_app()


@pytest.fixture
def live_app(app: App, images: Images) -> App:
    """A new app whose image ``web:1`` is live as the service ``cmd``."""
    finished = app.deploy_image(images.web("1"))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return app
