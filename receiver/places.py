"""Who is connected, and how many that may be: at all, and from one address.

A connection that has proved nothing yet (no key, no token) holds its place only until somebody
else wants it: the longest unproved one makes room, of the same address if that has its share. So
a crowd of idle connections keeps nobody out. A push that only waits for its deploy counts apart:
it costs next to nothing, and many may well come from one office.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from enclave.errors import Misconfigured, TooManyRequests
from receiver.recent import Recent


class Place:
    """One connection's place, from ``Places.take`` to ``leave``. Its methods suit any thread."""

    def __init__(self, places: Places, source: str, make_room: Callable[[], None]) -> None:
        self._places = places
        self.source = source
        self.make_room = make_room
        self.counted = True
        self.left = False

    def prove(self, *, proved: bool = True) -> None:
        """Say that whoever is there has a key or a token (or, for a new request, not yet)."""
        self._places.prove(self, proved=proved)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count apart for as long as the block runs. Raises ``TooManyRequests``."""
        self._places.begin_waiting(self)
        try:
            yield
        finally:
            self._places.end_waiting(self)

    def leave(self) -> None:
        """Give the place back; twice does no harm."""
        self._places.leave(self)


class Places:
    """All places of one receiver process. ``waiting`` is how many may wait for a deploy."""

    def __init__(
        self, most: int, *, a_source: int, waiting: int, failures: int, logins: int
    ) -> None:
        self._most, self._a_source, self._most_waiting = most, a_source, waiting
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._unproved: dict[Place, None] = {}  # in the order they came
        self._waiting = 0
        self._failures, self._logins = Recent(failures), Recent(logins)

    def take(self, address: str, make_room: Callable[[], None], *, shared: bool = False) -> Place:
        """Take a place for a connection from ``address`` (IPv4 or IPv6).

        ``make_room`` is called when somebody else needs it; it must not block. ``shared``: many
        people come from there (a proxy of ours), so its share is all places. Raises
        ``TooManyRequests``.
        """
        source = source_of(address)
        with self._lock:
            victim = None
            if not shared and self._taken[source] >= self._a_source:
                victim = next((each for each in self._unproved if each.source == source), None)
                if victim is None:
                    raise TooManyRequests("too many connections from your address: try again soon")
            elif self._taken.total() >= self._most:
                victim = next(iter(self._unproved), None)
                if victim is None:
                    raise TooManyRequests("too many connections at a time: try again soon")
            place = Place(self, source, make_room)
            if victim is not None:
                self._forget(victim)
            self._taken[source] += 1
            self._unproved[place] = None
        if victim is not None:
            victim.make_room()
        return place

    def prove(self, place: Place, *, proved: bool) -> None:
        """See ``Place.prove``."""
        with self._lock:
            self._unproved.pop(place, None)
            if not proved and place.counted:
                self._unproved[place] = None

    def begin_waiting(self, place: Place) -> None:
        """See ``Place.waiting``."""
        with self._lock:
            if self._waiting >= self._most_waiting:
                raise TooManyRequests("too many pushes wait for their deploys")
            self._waiting += 1
            self._forget(place)

    def end_waiting(self, place: Place) -> None:
        """See ``Place.waiting``. It counts again, beyond the limits if need be."""
        with self._lock:
            self._waiting -= 1
            if not place.left and not place.counted:
                place.counted = True
                self._taken[place.source] += 1

    def leave(self, place: Place) -> None:
        """See ``Place.leave``."""
        with self._lock:
            place.left = True
            self._forget(place)

    def _forget(self, place: Place) -> None:
        self._unproved.pop(place, None)
        if place.counted:
            place.counted = False
            self._taken[place.source] -= 1
            if self._taken[place.source] <= 0:
                del self._taken[place.source]

    def failed(self, address: str) -> None:
        """Remember that a login from ``address`` failed just now."""
        with self._lock:
            self._failures.note(source_of(address))

    def check_failures(self, address: str) -> None:
        """Raise ``TooManyRequests`` while too many logins from ``address`` have failed lately."""
        with self._lock:
            left = self._failures.wait(source_of(address))
        if left > 0:
            words = f"too many failed logins from your address: try again in {left:.0f}s"
            raise TooManyRequests(words, seconds=left)

    def log_in(self, address: str) -> None:
        """Remember that somebody there logs in by password. Raises ``TooManyRequests``."""
        source = source_of(address)
        with self._lock:
            left = self._logins.wait(source)
            if left <= 0:
                self._logins.note(source)
        if left > 0:
            words = f"too many logins from your address: try again in {left:.0f}s"
            raise TooManyRequests(words, seconds=left)


Networks = list[ipaddress.IPv4Network | ipaddress.IPv6Network]


def networks(text: str) -> Networks:
    """Read addresses and networks with commas between. Raises ``Misconfigured``."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return [ipaddress.ip_network(word, strict=False) for word in words]
    except ValueError as error:
        raise Misconfigured(f"ENCLAVE_PROXIES: {error}") from error


def contains(proxies: Networks, address: str) -> bool:
    """Whether an address is in one of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in proxies)


def source_of(address: str) -> str:
    """Return what counts as one source: an IPv4 address, the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # a unix socket's peer has none
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
