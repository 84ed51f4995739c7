"""The real parts that stories are told with. Nothing is skipped: a missing part is a failure.

Each is started once a session, privately, and gone without a trace at the end.
"""

from collections.abc import Iterator

import pytest

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.registry import PrivateRegistry


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
