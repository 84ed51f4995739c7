"""Somebody removes or stops an app's containers at the Engine: they come back."""

from collections.abc import Callable

import docker
import pytest
from conftest import App

from testbed.engine import API_VERSION
from testbed.processes import wait_until

DEEDS: dict[str, Callable[[docker.APIClient, str], None]] = {
    "removed": lambda client, name: client.remove_container(name, force=True),
    "stopped": lambda client, name: client.stop(name, timeout=0),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_gone_from_the_engine_comes_back(live_app: App, deed: str) -> None:
    """All that the app has: no container is left that could speak for it."""
    house = live_app.installation
    with docker.APIClient(base_url=house.engine_url, version=API_VERSION) as client:
        for container in house.containers(live_app.name):
            DEEDS[deed](client, container["name"])
    assert live_app.serving() == {}

    house.kill("worker")  # one that starts looks at the whole Engine, as one does now and then

    wait_until(lambda: live_app.serving() == {"cmd": 1}, seconds=30, what="nothing came back")
    assert live_app.get() == "web 1\n"
