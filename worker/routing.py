"""Where an app's endpoints lead: said to the router by whoever holds the app's lease."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from enclave.app import App
from enclave.endpoint import Endpoint, default_port
from enclave.errors import OperationFailed
from enclave.release import Release
from enclave.route import Route, Target
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Lease
from worker.runtime import LABEL_SERVICE, Container

_APPLIED_SECONDS = 60.0
_SLACK_SECONDS = 5.0  # the router itself gives up draining after its limit


def port_of(endpoint: Endpoint, release: Release) -> int:
    """Return the port that an endpoint's containers answer on; raises ``OperationFailed``."""
    port = endpoint.port or default_port(release.exposed_ports)
    if port is None:
        raise OperationFailed(
            f"The service {endpoint.process_type} has an endpoint, and the image exposes no port: "
            "build it with EXPOSE, or give the endpoint a port (aptible endpoints:https:modify "
            "HOST --port N)."
        )
    return port


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes of one app, under one lease: a lost one changes none."""

    store: Store
    settings: Settings
    lease: Lease

    def serve(
        self, endpoints: Sequence[Endpoint], release: Release, containers: Iterable[Container]
    ) -> None:
        """Have the endpoints lead to these containers and no other; return when they do.

        Requests that are under way stay where they are. Raises ``LeaseLost``,
        ``StoreUnavailable``, and ``OperationFailed`` when the router does not follow.
        """
        here: Mapping[str, list[Container]] = {each.process_type: [] for each in endpoints}
        for container in containers:
            if container.address:
                here.get(container.labels.get(LABEL_SERVICE, ""), []).append(container)
        self._set([self._route(each, release, here[each.process_type]) for each in endpoints])

    def serve_only(
        self, app: App, release: Release | None, containers: Iterable[Container]
    ) -> None:
        """Have exactly the app's live endpoints lead to these containers; raises like ``serve``."""
        endpoints = app.state.endpoints
        if release is not None and endpoints:
            self.serve(endpoints, release, containers)
        known = {each.id for each in endpoints}
        for route in self.store.routes.of_app(app.id):
            if route.endpoint_id not in known:
                self.remove(route.endpoint_id)

    def remove(self, endpoint_id: int) -> None:
        """Let an endpoint answer no more; raises like ``serve``."""
        revision = self.store.routes.remove(self.lease, endpoint_id)
        self.store.routes.wait_applied(revision, seconds=_APPLIED_SECONDS)

    def require_certificate(self, endpoint: Endpoint) -> None:
        """Raise ``OperationFailed`` if the endpoint, now served, is so without its certificate.

        Whoever gives one asks. A deploy does not: it would fail for what it does not change.
        """
        if endpoint.certificate_id is not None:
            self.store.routes.require_served(endpoint.certificate_id)

    def drained(self, endpoints: Iterable[Endpoint]) -> None:
        """Return when no request of these endpoints is under way to a container they left."""
        seconds = self.settings.drain_seconds + _SLACK_SECONDS
        for endpoint in endpoints:
            self.store.routes.wait_drained(endpoint.id, seconds=seconds)

    def _route(
        self, endpoint: Endpoint, release: Release, containers: Iterable[Container]
    ) -> Route:
        here = list(containers)
        port = port_of(endpoint, release) if here else 0  # a service that vanished needs none
        return Route(
            endpoint_id=endpoint.id,
            app_id=endpoint.app_id,
            hosts=(endpoint.host(self.settings.domain),),
            targets=tuple(Target(each.address, port) for each in here),
            ip_whitelist=endpoint.ip_whitelist,
            certificate_id=endpoint.certificate_id,
        )

    def _set(self, routes: Iterable[Route]) -> None:
        revisions = [self.store.routes.set(self.lease, route) for route in routes]
        if revisions:
            self.store.routes.wait_applied(max(revisions), seconds=_APPLIED_SECONDS)
