"""The bare Docker calls of a redeploy: the same containers, and nobody who minds a failure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import perf_counter
from typing import TypeVar

import docker
from docker.types import IPAMConfig, IPAMPool

from worker.runtime import ContainerSpec
from worker.runtime.container_options import create_options

_NETWORK, _SUBNET = "bare-deploys", "10.190.0.0/20"
_ICC = "com.docker.network.bridge.enable_icc"
_KEPT, _LEFT = {"Name": "always"}, {"Name": "no"}

Item = TypeVar("Item")
Done = TypeVar("Done")


class BareNetwork:
    """The bridge of all ``BareDeploys`` of an Engine, like Enclave's, and its addresses."""

    def __init__(self, client: docker.APIClient) -> None:
        lower, upper = ipaddress.ip_network(_SUBNET).subnets()
        client.create_network(
            _NETWORK,
            driver="bridge",
            options={_ICC: "false"},
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=_SUBNET, iprange=str(lower))]),
        )
        self._addresses = upper.hosts()

    def address(self) -> str:
        """Return one that nobody has had."""
        return str(next(self._addresses))


class BareDeploys:
    """``services`` containers of one image are replaced by as many new ones, again and again.

    ``at_a_time``: how many containers each step takes on
    at once; 1 is one after the other.
    """

    def __init__(
        self,
        client: docker.APIClient,
        network: BareNetwork,
        reference: str,
        credentials: Mapping[str, str],
        *,
        name: str,
        command: tuple[str, ...],
        services: int,
        at_a_time: int,
    ) -> None:
        self._client, self._network, self._reference = client, network, reference
        self._credentials = dict(credentials)
        self._name, self._command, self._services = name, command, services
        self._pool = ThreadPoolExecutor(at_a_time)
        self._numbers = count()
        self._serving: list[str] = []

    def redeploy(self) -> tuple[float, float]:
        """Replace them; return the seconds until the new are kept, and those of the removal."""
        begin = perf_counter()
        api = self._client
        found = api.inspect_distribution(self._reference, auth_config=self._credentials)  # type: ignore[no-untyped-call]
        repository = self._reference.rpartition(":")[0]
        image = api.inspect_image(f"{repository}@{found['Descriptor']['digest']}")["Id"]  # type: ignore[no-untyped-call]
        self._each(self._stop, self._serving)
        new = self._each(lambda _: self._start(image), range(self._services))
        self._each(self._keep, new)
        kept = perf_counter()
        self._each(self._remove, self._serving)
        self._serving = new
        return kept - begin, perf_counter() - kept

    def _each(self, do: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
        return list(self._pool.map(do, items))

    def _stop(self, identifier: str) -> None:
        self._client.update_container(identifier, restart_policy=_LEFT)  # type: ignore[arg-type]  # the stub's names lack some
        self._client.stop(identifier, timeout=10)

    def _start(self, image: str) -> str:
        spec = ContainerSpec(
            f"{self._name}-{next(self._numbers)}", image, {}, command=self._command
        )
        options = create_options(
            spec,
            network=_NETWORK,
            address=self._network.address(),
            api_version=self._client.api_version,
            image=None,
        )
        identifier = str(self._client.create_container(**options)["Id"])
        self._client.start(identifier)
        return identifier

    def _keep(self, identifier: str) -> None:
        self._client.inspect_container(identifier)
        self._client.update_container(identifier, restart_policy=_KEPT)  # type: ignore[arg-type]  # as above

    def _remove(self, identifier: str) -> None:
        self._client.remove_container(identifier, force=True, v=True)
