"""Whether a new container is healthy (SPEC 6.4)."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass

from enclave.changes import HEALTHCHECK_TIMEOUT, STRICT_HEALTH_CHECKS
from enclave.errors import StepTimedOut
from worker.runtime import Container, Runtime

DEFAULT_SECONDS = 180.0
_STRICT_PATH = "/healthcheck"
_ANSWER_SECONDS = 10.0
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What a service's containers must do, and in how many seconds; 0: nothing is waited for.

    ``port`` None: the service has no endpoint. ``host`` is the name it is asked under.
    """

    port: int | None
    host: str
    strict: bool
    has_healthcheck: bool
    seconds: float

    @classmethod
    def of(
        cls,
        configuration: Mapping[str, str],
        *,
        port: int | None,
        host: str,
        has_healthcheck: bool,
    ) -> HealthCheck:
        """Return what the app's configuration asks for."""
        return cls(
            port,
            host,
            strict=configuration.get(STRICT_HEALTH_CHECKS, "").lower() == "true",
            has_healthcheck=has_healthcheck,
            seconds=float(configuration.get(HEALTHCHECK_TIMEOUT) or DEFAULT_SECONDS),
        )

    def wait(self, runtime: Runtime, container: Container, *, ends: float) -> None:
        """Return when the container is healthy; ``ends`` is on the monotonic clock.

        Raises ``ContainerDied``, ``StepTimedOut``, or ``OperationFailed`` from the image's own
        HEALTHCHECK.
        """
        if self.seconds == 0:
            runtime.settle(container, seconds=0.0)
            return
        if self.has_healthcheck:
            runtime.healthy(container, seconds=max(ends - time.monotonic(), 0.0))
        if self.port is not None:
            self._answered(runtime, container, self.port, ends)

    def ends(self, began: float) -> float:
        """Return the deadline for containers that were all started at ``began``."""
        return began + self.seconds

    @property
    def settles(self) -> bool:
        """Whether there is nothing to ask: running for a short time is all that is asked for."""
        return self.port is None and not self.has_healthcheck

    def _answered(self, runtime: Runtime, container: Container, port: int, ends: float) -> None:
        """Ask until there is a good answer; in between, watch whether the container dies."""
        pause = _FIRST_PAUSE
        while True:
            problem = self._ask(container.address, port)
            if problem is None:
                return
            left = ends - time.monotonic()
            if left <= 0:
                path = _STRICT_PATH if self.strict else "/"
                raise StepTimedOut(
                    f"The container {container.name} did not become healthy within "
                    f"{self.seconds:g} s: GET {path} on port {port}: {problem}. It must listen on "
                    f"0.0.0.0; {HEALTHCHECK_TIMEOUT} gives it more time."
                )
            runtime.settle(container, seconds=min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _ask(self, address: str, port: int) -> str | None:
        """Return what is wrong with the answer, None when it is good."""
        connection = http.client.HTTPConnection(address, port, timeout=_ANSWER_SECONDS)
        try:
            connection.request(
                "GET",
                _STRICT_PATH if self.strict else "/",
                headers={"Host": self.host, "User-Agent": "enclave-health-check"},
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
        return f"it answered {status}" if self.strict and status != http.client.OK else None
