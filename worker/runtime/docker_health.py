"""Whether a container's HEALTHCHECK says that it is healthy. The Engine probes; nothing here polls.

What the Engine's events say is not read: each one is a reason to look at the container itself,
which also tells what happened before anyone listened.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

from enclave.errors import OperationFailed, StepTimedOut
from worker.runtime import Container
from worker.runtime.docker_containers import DockerContainers
from worker.runtime.engine_connection import EngineConnection, raise_refusal
from worker.runtime.timed_stream import got


class DockerHealth:
    """Waits for the health of one Engine's containers."""

    def __init__(self, engine: EngineConnection, containers: DockerContainers) -> None:
        self._engine = engine
        self._containers = containers

    def wait(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.healthy``."""
        ends = time.monotonic() + seconds
        try:
            # An event stream ends early only with its Engine: one that is back at once is asked on.
            while not self._seen_healthy(container, ends):
                pass
        except TimeoutError:
            raise StepTimedOut(self._too_long(container, seconds)) from None

    def _seen_healthy(self, container: Container, ends: float) -> bool:
        """Look at the container now and after each of its events, to the end of their stream.

        Raises ``TimeoutError`` at ``ends`` (monotonic).
        """
        state = self._state(container)
        if _is_healthy(container, state):
            return True
        params = {
            # The answer begins before the Engine has subscribed: nothing in between is lost this
            # way. The moment is of the Engine's own clock.
            "since": str(_seconds(state["StartedAt"])),
            "filters": json.dumps(
                {"container": [container.id], "event": ["health_status", "die", "destroy"]}
            ),
        }
        with (
            self._engine.asked_to(f"tell of the health of the container {container.name}") as api,
            got(api, "/events", params=params, ends=ends) as response,
        ):
            raise_refusal(response)
            return any(
                _is_healthy(container, self._state(container)) for _ in response.iter_lines()
            )

    def _state(self, container: Container) -> dict[str, Any]:
        """Return the state of a container that lives. Raises ``ContainerDied``."""
        state = self._containers.details(container.id, container.name)["State"]
        if state["Status"] != "running":
            raise self._containers.death(container.id, container.name)
        return dict(state)

    def _too_long(self, container: Container, seconds: float) -> str:
        sentence = f"The container {container.name} was not healthy within {seconds:g} s."
        return f"{sentence}\n{_last_probe(self._state(container)['Health'])}"


def _is_healthy(container: Container, state: dict[str, Any]) -> bool:
    """Tell whether it is, or not yet. Raises ``OperationFailed`` when it is unhealthy."""
    health = state.get("Health")
    if health is None or health["Status"] == "none":
        raise ValueError(f"the container {container.name} has no HEALTHCHECK")
    if health["Status"] == "unhealthy":
        raise OperationFailed(
            f"The container {container.name} is unhealthy: the HEALTHCHECK of its image failed "
            f"{health['FailingStreak']} times in a row.\n{_last_probe(health)}"
        )
    return bool(health["Status"] == "healthy")


def _seconds(moment: str) -> int:
    """Return the Engine's ``2026-01-31T12:00:00.123456789Z`` in whole seconds since 1970."""
    return int(datetime.fromisoformat(f"{moment[:19]}Z").timestamp())


def _last_probe(health: dict[str, Any]) -> str:
    """Say how the last probe ended: all that the Engine keeps, for secrets are masked later."""
    if not health["Log"]:
        return "Its HEALTHCHECK has not ended yet."
    last = health["Log"][-1]
    lines = last["Output"].splitlines()
    said = "\n".join(["Its last words:", *lines]) if lines else "It printed nothing."
    return f"The last probe ended with exit status {last['ExitCode']}. {said}"
