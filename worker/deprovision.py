"""The end of an app: its names lead nowhere, its containers stop, its records go."""

from __future__ import annotations

from enclave.app import AppSecrets, AppState
from enclave.endpoint import EndpointStatus
from enclave.operation import OperationStatus
from enclave.store.leases import Ending, EndpointEnd
from worker.serve import stop_all
from worker.work import Old, Work


class DeprovisionApp:
    """Implements ``Story``. Until it is committed, all can be brought back."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.old = Old()

    def run(self) -> Ending:
        """See ``Story``."""
        work = self._work
        work.log.info(f"Deprovisioning {work.app.name}...")
        work.begin()
        for endpoint in work.app.state.endpoints:
            work.routing.remove(endpoint.id)
        containers = work.runtime.containers(work.placement.labels())
        if containers:
            with work.log.step(f"Stopping {len(containers)} container(s)"):
                stop_all(work.runtime, containers, seconds=work.settings.stop_seconds)
        self.old.stopped += containers
        work.points.check()
        return Ending(
            OperationStatus.SUCCEEDED,
            "App deprovisioned.",
            untidy=bool(self.old),
            state=AppState(),
            secrets=AppSecrets(),
            deprovisions=True,
            endpoints=tuple(
                EndpointEnd(
                    endpoint.id, EndpointStatus.DEPROVISIONED, endpoint.host(work.settings.domain)
                )
                for endpoint, _ in work.store.endpoints.of_app(work.app.id)
            ),
        )
