"""Operations on one endpoint: it gets its route, or loses it. No container is touched."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from enclave.endpoint import Endpoint, EndpointStatus
from enclave.errors import OperationFailed
from enclave.operation import OperationStatus
from enclave.release import Release
from enclave.store.leases import Ending, EndpointEnd
from worker.health import HealthCheck
from worker.routing import port_of
from worker.runtime import LABEL_SERVICE, Container
from worker.work import Old, Work


class _EndpointStory:
    """What the two have in common."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.old = Old()
        endpoint = work.operation.request.endpoint
        if endpoint is None:
            raise OperationFailed("The operation names no endpoint.")
        self._endpoint: Endpoint = endpoint
        self._host = endpoint.host(work.settings.domain)

    def _ending(
        self, message: str, endpoints: tuple[Endpoint, ...], status: EndpointStatus
    ) -> Ending:
        return Ending(
            OperationStatus.SUCCEEDED,
            message,
            state=replace(self._work.app.state, endpoints=endpoints),
            secrets=self._work.secrets,
            endpoints=(EndpointEnd(self._endpoint.id, status, self._host),),
        )

    def _others(self) -> tuple[Endpoint, ...]:
        endpoints = self._work.app.state.endpoints
        return tuple(each for each in endpoints if each.id != self._endpoint.id)


class Provision(_EndpointStory):
    """A name leads to the containers of a service, as its endpoint says. Implements ``Story``.

    One that is live already is changed in one step: a new certificate, port or whitelist.
    """

    def run(self) -> Ending:
        """See ``Story``."""
        work, endpoint = self._work, self._endpoint
        release = work.live.release
        if release is None or release.service(endpoint.process_type) is None:
            raise OperationFailed(
                f"The app has no service {endpoint.process_type!r} that could answer: deploy first."
            )
        port = port_of(endpoint, release)
        work.log.info(f"Provisioning {self._host}, port {port} of {endpoint.process_type}...")
        work.begin()
        containers = self._containers(release)
        if not self._is_asked_there_already():
            self._answering(release, containers, port)
        with work.log.step(f"Sending requests for {self._host} to {endpoint.process_type}"):
            work.routing.serve([endpoint], release, containers)
            work.routing.require_certificate(endpoint)
        work.points.check()
        return self._ending(
            f"Endpoint provisioned: {self._host}",
            (*self._others(), self._endpoint),
            EndpointStatus.PROVISIONED,
        )

    def _is_asked_there_already(self) -> bool:
        """Whether requests go to that port now: a new certificate waits for no sick app."""
        live = self._work.app.state.endpoint(self._endpoint.id)
        return live is not None and live.port == self._endpoint.port

    def _containers(self, release: Release) -> list[Container]:
        work = self._work
        specs = work.placement.service_containers(release, {})
        names = {spec.name for spec in specs}
        return [
            each
            for each in work.runtime.containers(work.placement.labels())
            if each.name in names and each.labels.get(LABEL_SERVICE) == self._endpoint.process_type
        ]

    def _answering(self, release: Release, containers: list[Container], port: int) -> None:
        """Wait until the containers answer on the port; else the name would lead to nothing."""
        work = self._work
        check = HealthCheck.of(
            work.live.configuration,
            port=port,
            host=self._host,
            has_healthcheck=release.has_healthcheck,
        )
        with work.log.step(f"Waiting for an answer on port {port}"):
            for container in containers:
                ends = check.ends(time.monotonic())
                work.points.attempt(partial(check.wait, work.runtime, container, ends=ends))


class Deprovision(_EndpointStory):
    """The name leads nowhere from now on. Implements ``Story``."""

    def run(self) -> Ending:
        """See ``Story``."""
        work = self._work
        work.log.info(f"Deprovisioning {self._host}...")
        work.begin()
        work.routing.remove(self._endpoint.id)
        work.points.check()
        return self._ending(
            f"Endpoint deprovisioned: {self._host}",
            self._others(),
            EndpointStatus.DEPROVISIONED,
        )
