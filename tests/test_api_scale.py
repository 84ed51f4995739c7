"""No answer of the API costs more because there are more apps (times: ``scripts/bench api``)."""

from pathlib import Path

import pytest
from api_app import ApiApp

from enclave.store import Store


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    world = ApiApp(store, tmp_path)
    for number in range(4):
        store.apps.create(world.environment, f"app-{number}")
    return world


def commands(world: ApiApp, path: str) -> int:
    """Return how many commands Redis is sent for one answer."""
    raw = world.store.database.raw
    world.admin.get(path)  # scripts are loaded, ids of services given
    raw.config_resetstat()
    answer = world.admin.get(path)
    assert answer.status_code == 200, answer.text
    calls = raw.info("commandstats")
    ours = (each["calls"] for name, each in calls.items() if not name.startswith("cmdstat_config"))
    return sum(ours)


@pytest.mark.parametrize(
    "path",
    [
        "/accounts",
        "/find/account?handle=prod",
        "/apps/1",
        "/apps?per_page=3",
        "/apps?per_page=2&page=2",
        "/accounts/1/apps?per_page=3",
        "/find/app?handle=web",
        "/find/app?handle=web&environment=prod",
        "/apps/1/operations",
    ],
)
def test_redis_is_asked_as_often_whatever_the_number_of_apps(world: ApiApp, path: str) -> None:
    few = commands(world, path)
    for number in range(60):
        world.store.apps.create(world.environment, f"app-1{number:02}")
    assert commands(world, path) == few
