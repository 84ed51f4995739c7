"""The router: makes HAProxy agree with the routes that are wanted, and keeps it so.

It remembers nothing that it could not lose: killed at any moment, it compares what runs with what
is wanted when it starts again, and changes only what differs.
"""

from __future__ import annotations

import logging

from enclave.certificate import Certificate
from enclave.errors import RouterUnavailable
from enclave.route import Route
from enclave.settings import Settings
from enclave.store import Store
from router.backends import State, agreement, backend_name, endpoint_of, slots_for
from router.certificates import CertificateFiles
from router.configuration import WHITELISTS, Configuration, render, whitelist_key
from router.drains import Drains
from router.files import ConfigurationFiles
from router.lost_socket import LostSocket
from router.runtime import HAProxy, Process

logger = logging.getLogger(__name__)


class Router:
    """What is wanted, and HAProxy. ``read``, ``tend`` and ``report`` by turns are all there is.

    ``user`` is whom HAProxy's processes become, when root starts them.
    """

    def __init__(self, store: Store, settings: Settings, *, user: str = "") -> None:
        self._store, self._settings, self._user = store, settings, user
        self._haproxy = HAProxy(settings.haproxy_socket)
        self._files = ConfigurationFiles(settings.haproxy)
        self._certificates = CertificateFiles(settings.haproxy, settings.domain, store.certificates)
        self._drains = Drains(self._haproxy, seconds=settings.drain_seconds)
        self._lost_socket = LostSocket(settings.haproxy_socket)
        self._wanted: dict[int, Route] = {}
        self._own: list[Certificate] = []
        self._slots: dict[int, int] = {}
        self._changed: set[int] = set()
        self._all_changed = True  # as far as is known
        self._revision = self._applied = 0
        self._pid = 0
        self._has_read = False
        self._unserved: dict[int, str] = {}
        self._reported: tuple[int, frozenset[int], dict[int, str]] | None = None

    @property
    def drains(self) -> bool:
        """Whether connections to addresses that are not wanted any more are still served."""
        return bool(self._drains.endpoints())

    def read(self) -> None:
        """Learn what is wanted now. Raises ``StoreUnavailable``."""
        changes = self._store.routes.changes(since=self._revision)
        if changes.revision < self._revision:  # another store, or an older copy of it
            changes = self._store.routes.changes()
            self._wanted.clear()
            self._all_changed = True
        for endpoint_id, route in changes.routes.items():
            if route is None:
                self._wanted.pop(endpoint_id, None)
            else:
                self._wanted[endpoint_id] = route
        own = self._store.own_certificates.all()
        if own != self._own or not changes.routes:  # what was announced is no route
            self._all_changed = True
        self._own = own
        self._changed |= changes.routes.keys()
        self._revision, self._has_read = changes.revision, True

    def tend(self) -> None:
        """Make HAProxy agree with what is wanted, if it does not, and free what has drained.

        Raises ``RouterUnavailable``: what could not be done is done the next time. Raises
        ``StoreUnavailable`` when a certificate cannot be read.
        """
        if not self._has_read:
            return  # what is not known to be wanted is not known to be unwanted
        untouched = self._files.are_untouched()
        try:
            current = self._haproxy.current()
        except RouterUnavailable:
            if self._all_changed or self._changed or not untouched:
                self._write()  # it comes back right by itself
            self._lost_socket.look()
            raise
        if current.pid != self._pid or not untouched:
            self._all_changed, self._pid = True, current.pid
        try:
            if self._all_changed:
                self._recognise(current)
            if self._all_changed or self._changed:
                self._agree(current)
        finally:
            self._drains.look()

    def report(self) -> None:
        """Say what has been reached, and what could not be, if that is news.

        Raises ``StoreUnavailable``.
        """
        reached = (self._applied, self._drains.endpoints(), self._unserved)
        if reached != self._reported:
            self._store.routes.report(*reached)
            self._reported = reached

    def _agree(self, current: Process) -> None:
        """The configuration first: from then on HAProxy may die at any moment."""
        configuration = self._write()
        whitelists = {whitelist_key(route) for route in self._wanted.values()}
        if self._haproxy.description(current) != configuration.structure:
            logger.info("reloading HAProxy: %d endpoints", len(self._wanted))
            self._haproxy.reload(configuration.structure)
            self._pid = self._haproxy.current().pid
            self._all_changed = True
        crowded: set[int] = set()
        for process in self._haproxy.processes():
            crowded |= self._agree_with(process)
            if self._all_changed and not process.current:
                self._haproxy.keep_in_map(process, WHITELISTS, whitelists)
        if crowded:
            for endpoint_id in crowded:
                self._slots[endpoint_id] *= 2
            self._agree(self._haproxy.current())
            return
        self._changed.clear()
        self._all_changed = False
        self._applied = self._revision

    def _recognise(self, current: Process) -> None:
        """Take over how many slots each backend has: another number would need a reload."""
        for backend, servers in self._haproxy.servers(current).items():
            endpoint_id = endpoint_of(backend)
            if endpoint_id is not None:
                self._slots[endpoint_id] = len(servers)

    def _write(self) -> Configuration:
        """Write the files for what is wanted. Raises ``RouterRefused``."""
        routes = [self._wanted[endpoint_id] for endpoint_id in sorted(self._wanted)]
        slots = {
            route.endpoint_id: max(
                self._slots.get(route.endpoint_id, 0), slots_for(len(route.targets))
            )
            for route in routes
        }
        wanted = {each.certificate_id for each in routes if each.certificate_id is not None}
        files = frozenset(wanted | {each.id for each in self._own})
        configuration = render(
            self._settings,
            routes,
            slots,
            certificates=self._certificates.bring(files),
            own=self._own,
            user=self._user,
        )
        self._unserved = self._certificates.refused(files)
        self._files.write(configuration)
        self._certificates.drop_others(files)
        self._slots = slots
        return configuration

    def _agree_with(self, process: Process) -> set[int]:
        """Have one process send new requests where they are wanted.

        Returns the endpoints of the current process that have no slot left for a target. An older
        process has one request at most to come on each of its connections.
        """
        backends = (
            self._haproxy.servers(process)
            if self._all_changed
            else {
                backend: servers
                for endpoint_id in sorted(self._changed)
                for backend, servers in self._haproxy.servers(
                    process, backend_name(endpoint_id)
                ).items()
            }
        )
        crowded: set[int] = set()
        for backend, servers in backends.items():
            endpoint_id = endpoint_of(backend)
            if endpoint_id is None:
                continue
            route = self._wanted.get(endpoint_id)
            to_do = agreement(servers, route.targets if route else ())
            for slot, target in to_do.fill:
                self._haproxy.fill(process, backend, slot, target)
            self._haproxy.set_state(process, backend, to_do.ready, State.READY)
            self._haproxy.set_state(process, backend, to_do.drain, State.DRAIN)
            self._drains.note(process, endpoint_id, to_do.draining)
            if to_do.missing and process.current:
                crowded.add(endpoint_id)
        return crowded
