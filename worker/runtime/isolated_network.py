"""The network of all containers: the host reaches each of them, they do not reach each other.

One bridge for everybody: one network an app would end at the 31st with Docker's address pools.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from enclave.errors import Misconfigured, OperationFailed

LABEL_NETWORK = "enclave.network"

_ICC = "com.docker.network.bridge.enable_icc"
_BRIDGE = "com.docker.network.bridge.name"
_ATTEMPTS = 2
_CREATION_SECONDS = 5
_MOST_FIXED = 1 << 15


@dataclass(frozen=True, slots=True)
class IsolatedNetwork:
    """A bridge without traffic between containers, on an address range (CIDR) of its own.

    ``bridge`` is the interface on the host, at most 15 characters (``IFNAMSIZ``). It is fixed so
    that two processes creating the network at once cannot end with two.
    """

    name: str
    subnet: str
    bridge: str
    _lent: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _choosing: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    @classmethod
    def named(cls, name: str, subnet: str, bridge: str | None = None) -> IsolatedNetwork:
        """Return the network ``name``; without ``bridge``, the interface's name follows from it."""
        derived = "enc" + hashlib.sha256(name.encode()).hexdigest()[:8]
        return cls(name, subnet, bridge or derived)

    def ensure(self, api: APIClient) -> None:
        """Create the network unless it is there.

        Raises ``Misconfigured`` if another one has its name, address range or interface, and the
        SDK's errors.
        """
        refusal: APIError | None = None
        for _ in range(_ATTEMPTS):
            try:
                return self._check(api.inspect_network(self.name))
            except NotFound:
                pass
            try:
                self._create(api)
            except APIError as error:
                self._check_neighbours(api)
                # Another process may be creating it this moment: it holds the address range
                # already, and the network cannot be seen yet.
                refusal = error
                self._await_creation(api)
        raise Misconfigured(
            f"The Docker Engine could not create the network {self.name} ({self.subnet}, interface "
            f"{self.bridge}): {refusal.explanation if refusal else 'it vanishes'}."
        )

    @contextmanager
    def free_address(self, api: APIClient) -> Iterator[str]:
        """Lend an address that no container has, running or not, out of the subnet's upper half.

        Until the block ends no other thread gets it: by then a container has it. A random one: two
        workers that ask at once rarely get the same. The Engine gives out the
        lower half by itself (in networks that were made before there was a division, from the
        lowest on). Raises ``OperationFailed`` when none is left, and the SDK's errors.
        """
        with self._choosing:
            address = self._choose(api)
            self._lent.add(address)
        try:
            yield address
        finally:
            with self._choosing:
                self._lent.discard(address)

    def _choose(self, api: APIClient) -> str:
        subnet = ipaddress.ip_network(self.subnet)
        last = int(subnet.broadcast_address)
        first = last + 1 - min(subnet.num_addresses // 2, _MOST_FIXED)
        taken = self._lent | {
            address
            for container in api.containers(all=True, filters={"network": self.name})
            for address in _addresses(container["NetworkSettings"]["Networks"].get(self.name))
        }
        names = (str(ipaddress.ip_address(number)) for number in range(first, last))
        free = [name for name in names if name not in taken]
        if not free:
            raise OperationFailed(
                f"The Docker network {self.name} ({self.subnet}) has no address left for another "
                "container. Stop some apps, or give Enclave's network a larger address range "
                "(ENCLAVE_NETWORK and ENCLAVE_SUBNET)."
            )
        return secrets.choice(free)

    def _create(self, api: APIClient) -> None:
        lower = next(ipaddress.ip_network(self.subnet).subnets())
        api.create_network(
            self.name,
            driver="bridge",
            check_duplicate=True,
            options={_ICC: "false", _BRIDGE: self.bridge},
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=self.subnet, iprange=str(lower))]),
            labels={LABEL_NETWORK: self.name},
        )

    def _await_creation(self, api: APIClient) -> None:
        """Return when the Engine tells of the network's creation, or after a few seconds."""
        now = int(time.time())
        events = api.events(
            since=now - _CREATION_SECONDS,
            until=now + _CREATION_SECONDS,
            filters={"type": "network", "event": "create", "network": self.name},
        )
        try:
            next(events, None)
        finally:
            events.close()

    def _check_neighbours(self, api: APIClient) -> None:
        """Refuse an address range or interface that another network has."""
        wanted = ipaddress.ip_network(self.subnet)
        for other in api.networks():
            ranges = [ipaddress.ip_network(text) for text in _ranges(other)]
            taken = any(wanted.overlaps(theirs) for theirs in ranges)
            if other["Name"] != self.name and (
                taken or other["Options"].get(_BRIDGE) == self.bridge
            ):
                raise Misconfigured(
                    f"The Docker network {other['Name']} has addresses in {self.subnet}, or the "
                    f"interface {self.bridge}. Choose others for Enclave's network {self.name}."
                )

    def _check(self, found: dict[str, Any]) -> None:
        """Refuse a network that has our name and lets containers talk, or other addresses."""
        ranges = _ranges(found)
        if found["Options"].get(_ICC) != "false" or LABEL_NETWORK not in found["Labels"]:
            raise Misconfigured(
                f"The Docker network {self.name} is not Enclave's. Remove it with `docker network "
                f"rm {self.name}`, or give Enclave's network another name."
            )
        if self.subnet not in ranges:
            raise Misconfigured(
                f"The Docker network {self.name} has the addresses {', '.join(ranges)}, "
                f"not {self.subnet}. Stop its containers and remove it with `docker network rm "
                f"{self.name}`, or set the address range back."
            )


def _addresses(endpoint: dict[str, Any] | None) -> Iterator[str]:
    """Yield what a container has on a network now, and what it wants when it is started."""
    if endpoint is not None:
        yield str(endpoint.get("IPAddress") or "")
        yield str((endpoint.get("IPAMConfig") or {}).get("IPv4Address") or "")


def _ranges(network: dict[str, Any]) -> list[str]:
    """Return the address ranges of a network, as the Engine lists them."""
    return [pool["Subnet"] for pool in network["IPAM"]["Config"] or [] if "Subnet" in pool]
