"""One endpoint as HAProxy has it: a backend with a fixed number of server slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from enclave.route import Target

_LEAST_SLOTS = 8


def backend_name(endpoint_id: int) -> str:
    """Return the name of an endpoint's backend."""
    return f"e{endpoint_id}"


def endpoint_of(backend: str) -> int | None:
    """Return the endpoint of a backend, None for a backend that is no endpoint's."""
    number = backend.removeprefix("e")
    return int(number) if number != backend and number.isdecimal() else None


def slots_for(targets: int) -> int:
    """Return how many slots so many targets get: room for the next ones while they drain."""
    slots = _LEAST_SLOTS
    while slots < 2 * targets:
        slots *= 2
    return slots


class State(Enum):
    """What HAProxy does with a server: sends requests, sends no new ones, has no use for it."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class Server:
    """A slot of a backend, as one process of HAProxy has it."""

    slot: str
    target: Target | None
    state: State


@dataclass(frozen=True, slots=True)
class Agreement:
    """What makes a backend agree with the wanted targets, in this order.

    ``fill`` slots with targets, have ``ready`` what waits or drains, ``drain`` what is not wanted.
    ``draining`` are all slots that drain then. ``missing``: targets there was no free slot for.
    """

    fill: tuple[tuple[str, Target], ...]
    ready: tuple[str, ...]
    drain: tuple[str, ...]
    draining: tuple[str, ...]
    missing: int


def agreement(servers: Sequence[Server], wanted: Sequence[Target]) -> Agreement:
    """Return what is to be done so that exactly ``wanted`` get new requests.

    What is right already is left alone. New targets are ready before old ones drain; while one
    finds no slot, none drains: there is always somebody to ask.
    """
    free = [server.slot for server in servers if server.state is State.MAINT]
    of_target = {server.target: server for server in servers if server.state is not State.MAINT}
    fill: list[tuple[str, Target]] = []
    ready = [
        server.slot
        for target, server in of_target.items()
        if target in wanted and server.state is State.DRAIN
    ]
    missing = 0
    for target in wanted:
        if target in of_target:
            continue
        if free:
            fill.append((free.pop(0), target))
        else:
            missing += 1
    kept = {of_target[target].slot for target in wanted if target in of_target}
    unwanted = [s for s in servers if s.state is not State.MAINT and s.slot not in kept]
    drain = () if missing else tuple(s.slot for s in unwanted if s.state is State.READY)
    drains_already = tuple(s.slot for s in unwanted if s.state is State.DRAIN)
    return Agreement(tuple(fill), tuple(ready), drain, (*drains_already, *drain), missing)
