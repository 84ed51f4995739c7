"""Servers that get no new requests and still serve old ones, each with its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from router.backends import State, backend_name
from router.runtime import HAProxy, Process


class Drains:
    """All that drains now, in the current process of HAProxy and in older ones.

    ``seconds`` is how long a request may take; the clock begins anew when the router does.
    """

    def __init__(
        self, haproxy: HAProxy, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._haproxy, self._seconds, self._clock = haproxy, seconds, clock
        self._deadlines: dict[tuple[int, int], dict[str, float]] = {}

    def note(self, process: Process, endpoint_id: int, slots: Iterable[str]) -> None:
        """These slots of the endpoint drain in that process, and no others."""
        known = self._deadlines.pop((process.pid, endpoint_id), {})
        deadline = self._clock() + self._seconds
        if noted := {slot: known.get(slot, deadline) for slot in slots}:
            self._deadlines[process.pid, endpoint_id] = noted

    def endpoints(self) -> frozenset[int]:
        """Return the endpoints of which something drains."""
        return frozenset(endpoint_id for _, endpoint_id in self._deadlines)

    def look(self) -> None:
        """Free the slots that serve nothing any more; end what is past its deadline.

        Raises ``RouterUnavailable``.
        """
        if not self._deadlines:
            return
        alive = {process.pid: process for process in self._haproxy.processes()}
        for (pid, endpoint_id), slots in list(self._deadlines.items()):
            if process := alive.get(pid):
                rest = self._still_busy(process, endpoint_id, slots)
            else:
                rest = {}  # its connections ended with it
            if rest:
                self._deadlines[pid, endpoint_id] = rest
            else:
                del self._deadlines[pid, endpoint_id]

    def _still_busy(
        self, process: Process, endpoint_id: int, slots: dict[str, float]
    ) -> dict[str, float]:
        backend = backend_name(endpoint_id)
        busy = self._haproxy.busy(process, backend)
        late = [slot for slot, end in slots.items() if busy.get(slot) and end <= self._clock()]
        for slot in late:
            self._haproxy.cut(process, backend, slot)
        rest = {s: end for s, end in slots.items() if busy.get(s) and s not in late}
        ended = [slot for slot in slots if slot not in rest]
        self._haproxy.set_state(process, backend, ended, State.MAINT)
        return rest
