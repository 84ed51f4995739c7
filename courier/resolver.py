"""Where a host is: its addresses, of which only those that webhooks may reach are returned."""

from __future__ import annotations

import queue
import socket
import threading

from enclave.errors import NotSent
from enclave.webhook_networks import Networks

_ANY_PORT = 9


def reachable_addresses(host: str, port: int, networks: Networks, *, seconds: float) -> list[str]:
    """Return the addresses of a host that may be connected to, best first.

    It is asked for once, and the caller connects to what is returned: a name that leads elsewhere a
    moment later leads nobody there. Raises ``NotSent``, whose sentence names no address that is not
    public: it would tell of our network.
    """
    found = _addresses(host, port, seconds)
    allowed = [
        address
        for address in found
        if networks.allow(address) and (networks.excepts(address) or not _is_this_machine(address))
    ]
    if not allowed:
        raise NotSent(f"{host} leads to no public address: webhooks may not reach others.")
    return allowed


def _is_this_machine(address: str) -> bool:
    """Whether an address is one of our own: then it is what a packet to it would come from.

    What listens on a public address may be open to this machine alone.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, _ANY_PORT))  # sends nothing
        except OSError:
            return False
        return str(probe.getsockname()[0]) == address


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """Look a host up, in a thread that is left alone when it takes too long."""
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error)
        else:
            answers.put(list(dict.fromkeys(str(each[4][0]) for each in found)))

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise NotSent(f"{host} was not found within {seconds:.0f} s.") from None
    if isinstance(answer, Exception):
        raise NotSent(f"{host} is not known, or its DNS does not answer.") from answer
    return answer
