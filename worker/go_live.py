"""How a release goes live, as a story: before-commands, start, check, switch, commit.

A service with an endpoint: its new containers are started beside the old, and requests are sent to
them once they are healthy. One without: the old are stopped first (SPEC 6.3). Each step before the
commit knows its undoing (``worker/roll_back.py``). The commit is one transaction of the store;
after it only draining and tidying are left, which the app's next operation does if this one dies.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from enclave.checkpoints import reached
from enclave.operation import OperationStatus, OperationType
from enclave.release import ReleasedService
from enclave.store.leases import Ending
from worker.commands import Hooks, run_before, run_hooks
from worker.health import HealthCheck
from worker.routing import port_of
from worker.runtime import LABEL_SERVICE, Container, ContainerSpec
from worker.runtime.running_image import check_running_image
from worker.serve import stop_all
from worker.side_by_side import side_by_side
from worker.target import Target
from worker.work import Old, Work


class GoLive:
    """One target of one operation becomes live."""

    def __init__(self, work: Work, target: Target) -> None:
        self._work, self._target = work, target
        self._release = target.release
        self.old = Old()
        self._new: list[Container] = []

    def run(self) -> Ending:
        """Go live. Returns the successful ending, committed by the caller's ``finish``.

        Raises ``OperationFailed`` with what went wrong; the caller rolls back.
        """
        self._work.begin()
        run_before(self._work, self._target.before, self._release, self._target.configuration)
        self._work.points.check()
        self._find_old()
        self._start_beside()
        self._replace()
        self._verify()
        self._switch()
        self._run_after()
        self._work.points.check()
        return Ending(
            OperationStatus.SUCCEEDED,
            f"{name_of(self._work.operation.request.type)} succeeded.",
            untidy=bool(self.old),
            state=self._target.state,
            secrets=self._target.secrets,
            release=self._release,
        )

    def _find_old(self) -> None:
        """Find what runs, and is of no container that the new release names."""
        wanted = {spec.name for spec in self._specs(self._release.services)}
        found = self._work.runtime.containers(self._work.placement.labels())
        self.old.serving += [each for each in found if each.name not in wanted]

    def _start_beside(self) -> None:
        """Services with an endpoint: start the new containers while the old ones serve."""
        services = [each for each in self._renewed() if self._has_endpoint(each.process_type)]
        if services:
            self._start(services)

    def _replace(self) -> None:
        """Services without an endpoint: never two generations at once (SPEC 6.3)."""
        services = [each for each in self._renewed() if not self._has_endpoint(each.process_type)]
        types = {service.process_type for service in services}
        old = [each for each in self.old.serving if each.labels.get(LABEL_SERVICE) in types]
        if old:
            what = f"Stopping {len(old)} container(s) of the previous release"
            with self._work.log.step(what):
                stop_all(self._work.runtime, old, seconds=self._work.settings.stop_seconds)
            self.old.stop(old)
        reached("old stopped")
        if services:
            self._start(services)

    def _start(self, services: list[ReleasedService]) -> None:
        """Start the containers of these services and wait until all are healthy."""
        log = self._work.log
        with log.step(f"Starting {_listed(services)}"):
            started = side_by_side(self._start_one, self._specs(services))
        reached("new started")
        checks = {each.process_type: self._check(each.process_type) for each in services}
        settle = all(check.settles for check in checks.values())
        what = "settle" if settle else "become healthy"
        with log.step(f"Waiting for the new containers to {what}"):
            self._work.points.attempt(
                partial(self._wait, checks, started), undo=self._work.remove_own
            )
        side_by_side(self._work.runtime.keep, started)
        self._new += started

    def _start_one(self, spec: ContainerSpec) -> Container:
        self._work.points.check()
        return self._work.runtime.start(spec)

    def _wait(self, checks: dict[str, HealthCheck], started: list[Container]) -> None:
        """Wait for each; they all started before, so that the waits are one."""
        reached("health")
        began, settle = time.monotonic(), self._work.settings.settle_seconds
        for container in started:
            check = checks[container.labels[LABEL_SERVICE]]
            if check.settles:
                self._work.runtime.settle(container, seconds=settle)
                settle = 0.0
            else:
                check.wait(self._work.runtime, container, ends=check.ends(began))

    def _check(self, process_type: str) -> HealthCheck:
        """Return what the containers of a service must do to be healthy."""
        endpoints = self._target.state.endpoints_of(process_type)
        return HealthCheck.of(
            self._target.configuration,
            port=port_of(endpoints[0], self._release) if endpoints else None,
            host=endpoints[0].host(self._work.settings.domain) if endpoints else "",
            has_healthcheck=self._release.has_healthcheck,
        )

    def _verify(self) -> None:
        """Every new container runs, and runs exactly the image of the release (SPEC 6.2)."""
        attempt = self._work.attempt
        own = self._work.placement.attempt(attempt.operation_id, attempt.fence)
        check_running_image(self._work.runtime.containers(own), self._release.image_id)

    def _switch(self) -> None:
        """Send the requests of the services that are new to their new containers."""
        endpoints = [
            endpoint
            for endpoint in self._target.state.endpoints
            if endpoint.process_type in self._target.renewed
            or self._release.service(endpoint.process_type) is None
        ]
        if endpoints:
            reached("switch")
            with self._work.log.step("Switching requests to the new containers"):
                self._work.routing.serve(endpoints, self._release, self._new)
            reached("switched")

    def _run_after(self) -> None:
        """Run the success hooks of the release, whose containers are healthy (SPEC 5.3)."""
        kind = self._work.operation.request.type
        hooks = Hooks.of(kind, self._release, self._target.configuration, succeeded=True)
        if hooks.commands:
            run = partial(run_hooks, self._work, hooks, self._work.points.check)
            self._work.points.attempt(run, undo=self._work.remove_commands)

    def _renewed(self) -> list[ReleasedService]:
        return [
            service
            for service in self._release.services
            if service.process_type in self._target.renewed
        ]

    def _has_endpoint(self, process_type: str) -> bool:
        return bool(self._target.state.endpoints_of(process_type))

    def _specs(self, services: Iterable[ReleasedService]) -> list[ContainerSpec]:
        release = replace(self._release, services=tuple(services))
        return self._work.placement.service_containers(release, self._target.configuration)


def name_of(kind: OperationType) -> str:
    """Return what a log calls an operation: ``Deploy``, ``Scale``, …"""
    return str(kind).capitalize()


def _listed(services: Iterable[ReleasedService]) -> str:
    return ", ".join(f"{each.process_type} x{each.container_count}" for each in services)
