"""Endpoints in Redis: asked for, and known by number. Which are live is in their app's state."""

from __future__ import annotations

from dataclasses import replace

from enclave.activity import LOCAL, Actor
from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.endpoint import Endpoint, EndpointStatus, check_endpoint
from enclave.errors import Conflict, NotFound
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.database import Database, unavailable_when_lost


class Endpoints:
    """Every endpoint has a name of its own, from when it is asked for until it is deprovisioned."""

    def __init__(
        self, database: Database, activities: Activities, installation_domain: str
    ) -> None:
        self._database, self._activities = database, activities
        self._redis = database.redis
        self._domain = installation_domain

    def create(
        self,
        app_id: int,
        process_type: str,
        *,
        default: bool = False,
        domain: str | None = None,
        port: int | None = None,
        ip_whitelist: tuple[str, ...] = (),
        certificate_id: int | None = None,
        actor: Actor = LOCAL,
    ) -> Endpoint:
        """Create a pending endpoint; raises ``InvalidEndpoint``, ``Conflict`` if the name is taken.

        An app has one with a default domain.
        """
        canonical, networks = check_endpoint(
            default=default, domain=domain, port=port, ip_whitelist=ip_whitelist
        )
        endpoint = Endpoint(
            id=self._database.next_id("endpoint"),
            app_id=app_id,
            process_type=process_type,
            created_at=now_iso(),
            default=default,
            domain=canonical,
            port=port,
            ip_whitelist=networks,
            certificate_id=certificate_id,
        )
        host = endpoint.host(self._domain)
        reserved = not default and (host == self._domain or host.endswith(f".{self._domain}"))
        if reserved:
            raise Conflict(f"{host} is below this installation's own domain: use --default-domain")
        record = ["endpoint", encode(endpoint), "status", EndpointStatus.PENDING.value]
        made = self._activities.make(
            self._activities.entry(actor, "endpoint.create", host, app_id=app_id),
            [
                ("HSET", keys.endpoint(endpoint.id), *record),
                ("SADD", keys.app_endpoints(app_id), endpoint.id),
            ],
            claim=(keys.ENDPOINT_HOSTS, host, endpoint.id),
        )
        if not made:
            raise Conflict(f"an endpoint {host} exists already")
        return endpoint

    def wish(self, endpoint: Endpoint, *, actor: Actor = LOCAL) -> Endpoint:
        """Keep what an endpoint shall be: its next provisioning makes it so.

        Its name stays. Raises as ``create`` does for what cannot be.
        """
        _, networks = check_endpoint(
            default=endpoint.default,
            domain=endpoint.domain,
            port=endpoint.port,
            ip_whitelist=endpoint.ip_whitelist,
        )
        wished = replace(endpoint, ip_whitelist=networks)
        host = wished.host(self._domain)
        self._activities.make(
            self._activities.entry(actor, "endpoint.change", host, app_id=endpoint.app_id),
            [("HSET", keys.endpoint(endpoint.id), "endpoint", encode(wished))],
        )
        return wished

    def endpoint(self, endpoint_id: int) -> tuple[Endpoint, EndpointStatus]:
        """Return an endpoint, as it was last wished for, and its status; raises ``NotFound``."""
        with unavailable_when_lost():
            fields = self._redis.hgetall(keys.endpoint(endpoint_id))
        if not fields:
            raise NotFound("there is no such endpoint")
        return decode(Endpoint, fields["endpoint"]), EndpointStatus(fields["status"])

    def of_app(self, app_id: int) -> list[tuple[Endpoint, EndpointStatus]]:
        """Return the app's endpoints that are not deprovisioned, oldest first."""
        with unavailable_when_lost():
            ids = self._redis.smembers(keys.app_endpoints(app_id))
        return [self.endpoint(number) for number in sorted(int(each) for each in ids)]
