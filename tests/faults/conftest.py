"""A platform of its own, each part of which may be killed."""

from collections.abc import Iterator

import pytest

from testbed.faults.platform import ShakyPlatform, shaky_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShakyPlatform]:
    with shaky_platform(tmp_path_factory.mktemp("faults")) as platform:
        yield platform
