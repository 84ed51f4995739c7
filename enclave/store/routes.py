"""Routes: what is wanted, written by whoever holds an app's lease; what is applied, by the router.

Every change gets a revision, one counter for the installation. What an operation wants may be
undone: whoever recovers its app wants the right routes again, which costs nothing if they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from redis.client import PubSub

from enclave.codec import decode, encode
from enclave.errors import CertificateNotServed, Conflict, StepTimedOut
from enclave.route import Route
from enclave.store import keys
from enclave.store.database import Database, app_keys, unavailable_when_lost
from enclave.store.leases import Lease, require_lease

_LOOK_SECONDS = 0.02
_COUNTER = "route-revision"
_NOT_APPLIED = (
    "The router did not take the new addresses within {seconds:g} s. Is `enclave router` running, "
    "and HAProxy? Their logs say what is wrong."
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since an earlier revision: endpoint id -> route, None for a removed one.

    With ``revision`` as the next ``since``, no change is missed; some may come twice.
    """

    revision: int
    routes: dict[int, Route | None]


class Announcements:
    """A subscription to the news that routes changed. It asks Redis nothing while it waits."""

    def __init__(self, channel: PubSub) -> None:
        self._channel = channel

    def wait(self, seconds: float) -> bool:
        """Return whether a route changed, as soon as one does, or after ``seconds``.

        Raises ``StoreUnavailable``: what was announced meanwhile is lost.
        """
        with unavailable_when_lost():
            told = self._channel.get_message(timeout=seconds) is not None
            while self._channel.get_message(timeout=0) is not None:
                told = True  # one look serves all that was announced so far
        return told


class Routes:
    """The wanted routes and what has become of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def set(self, lease: Lease, route: Route) -> int:
        """Want the route from now on; return the revision to wait for.

        Raises ``LeaseLost``, and ``Conflict`` when another endpoint has one of its hosts; then
        nothing has changed.
        """
        return self._write(lease, route.endpoint_id, encode(route))

    def remove(self, lease: Lease, endpoint_id: int) -> int:
        """Want no such route; return the revision to wait for. Raises ``LeaseLost``."""
        return self._write(lease, endpoint_id, "")

    def _write(self, lease: Lease, endpoint_id: int, text: str) -> int:
        script_keys = [
            *app_keys(lease.app_id),
            *(keys.ROUTES, keys.ROUTE_REVISIONS, keys.ROUTE_HOSTS, keys.counter(_COUNTER)),
        ]
        answer = self._database.run("route", script_keys, [lease.fence, endpoint_id, text])
        if isinstance(answer, str):
            raise Conflict(f"the host {answer} belongs to another endpoint: choose another name")
        revision = int(str(answer))
        require_lease(1 if revision >= 0 else 0)
        return revision

    def announce(self) -> int:
        """Say that something else than a route changed; return the revision to wait for."""
        with unavailable_when_lost(), self._redis.pipeline(transaction=True) as writing:
            writing.incr(keys.counter(_COUNTER))
            writing.publish(keys.ROUTES, "")
            revision, _ = writing.execute()
        return int(revision)

    def all(self) -> list[Route]:
        """Return every wanted route, by endpoint."""
        with unavailable_when_lost():
            texts = self._redis.hvals(keys.ROUTES)
        return sorted((decode(Route, text) for text in texts), key=lambda each: each.endpoint_id)

    def of_app(self, app_id: int) -> list[Route]:
        """Return the wanted routes of one app, by endpoint."""
        return [route for route in self.all() if route.app_id == app_id]

    def changes(self, *, since: int = 0) -> Changes:
        """Return what changed after a revision; everything that is wanted, and was, since 0."""
        with unavailable_when_lost():
            with self._redis.pipeline(transaction=True) as reading:
                reading.get(keys.counter(_COUNTER))
                reading.zrangebyscore(keys.ROUTE_REVISIONS, f"({since}", "+inf")
                revision, ids = reading.execute()
            texts = self._redis.hmget(keys.ROUTES, ids) if ids else []
        routes = [decode(Route, text) if text else None for text in texts]
        return Changes(int(revision or 0), dict(zip(map(int, ids), routes, strict=True)))

    @contextmanager
    def announcements(self) -> Iterator[Announcements]:
        """Subscribe to changes: what changes after this has begun is announced."""
        channel: PubSub
        with unavailable_when_lost(), self._database.raw.pubsub() as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(keys.ROUTES)
            channel.get_message(timeout=10.0)  # the subscription's own confirmation
            yield Announcements(channel)

    def report(self, revision: int, draining: frozenset[int], unserved: Mapping[int, str]) -> None:
        """Record what HAProxy agrees with, and of which endpoints connections still drain.

        ``unserved``: the wanted certificates that HAProxy cannot serve -> why.
        """
        with unavailable_when_lost(), self._redis.pipeline(transaction=True) as writing:
            writing.delete(keys.ROUTES_DRAINING)
            if draining:
                writing.sadd(keys.ROUTES_DRAINING, *draining)
            writing.delete(keys.ROUTES_UNSERVED)
            if unserved:
                writing.hset(keys.ROUTES_UNSERVED, mapping={str(k): v for k, v in unserved.items()})
            writing.set(keys.ROUTES_APPLIED, revision)
            writing.execute()

    def applied(self) -> int:
        """Return the newest revision that HAProxy has agreed with."""
        with unavailable_when_lost():
            return int(self._redis.get(keys.ROUTES_APPLIED) or 0)

    def is_draining(self, endpoint_id: int) -> bool:
        """Whether connections to addresses the endpoint no longer has are still served."""
        with unavailable_when_lost():
            return self._redis.sismember(keys.ROUTES_DRAINING, endpoint_id)

    def wait_applied(self, revision: int, seconds: float) -> None:
        """Return when new requests go where ``revision`` says. Raises ``StepTimedOut``."""
        if not _poll(lambda: self.applied() >= revision, seconds):
            raise StepTimedOut(_NOT_APPLIED.format(seconds=seconds))

    def require_served(self, certificate_id: int) -> None:
        """Raise ``CertificateNotServed`` if the router cannot serve the certificate.

        To be called after ``wait_applied``, with the revision that wants it.
        """
        with unavailable_when_lost():
            why = self._redis.hget(keys.ROUTES_UNSERVED, str(certificate_id))
        if why is not None:
            raise CertificateNotServed(
                f"Certificate {certificate_id} cannot be served: {why}. Nothing has changed: "
                "give another one."
            )

    def wait_drained(self, endpoint_id: int, seconds: float) -> None:
        """Return when no request is left at addresses the endpoint no longer has.

        To be called after ``wait_applied``. The router itself ends what takes longer than
        ``ENCLAVE_DRAIN_SECONDS``; raises ``StepTimedOut`` when that does not happen.
        """
        if not _poll(lambda: not self.is_draining(endpoint_id), seconds):
            raise StepTimedOut(
                f"Requests to the old containers were not over within {seconds:g} s. "
                "Is `enclave router` running? Its log says what is wrong."
            )


def _poll(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
