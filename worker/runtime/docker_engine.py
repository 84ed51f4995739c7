"""Containers on one Docker Engine: the ``Runtime`` of a single machine.

Written for Debian 12's engine (20.10.24, API 1.41). Waits are the Engine's own: nothing here polls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack

from docker.errors import NotFound

from enclave.credentials import RegistryCredentials
from enclave.errors import ContainerDied, OperationFailed, StepTimedOut
from enclave.image import ImageReference
from worker.runtime import Container, ContainerSpec, Image, attached_output
from worker.runtime.container_log import Entry
from worker.runtime.docker_containers import DockerContainers
from worker.runtime.docker_health import DockerHealth
from worker.runtime.docker_images import DockerImages
from worker.runtime.engine_connection import EngineConnection
from worker.runtime.engine_disk import EngineDisk
from worker.runtime.image_files import ImageFiles
from worker.runtime.image_marks import Marks
from worker.runtime.isolated_network import IsolatedNetwork
from worker.runtime.start_failures import OTHER
from worker.runtime.visited_container import VisitedContainer

# Restarted with growing pauses, also after a reboot (SPEC 6.8). Not "unless-stopped": an Engine
# that was killed stops what it finds running when it is back, and takes it for stopped by hand.
_KEPT = {"Name": "always"}
_LEFT = {"Name": "no"}
_ADDRESSES_TRIED = 5


class DockerEngine:
    """One Engine, reached at ``base_url`` (``unix://…``, or ``tcp://…`` without TLS).

    ``network`` and ``subnet`` (CIDR) are the bridge of all containers, made on first use;
    ``bridge`` is its interface on the host, derived from the name when None. ``timeout`` is in
    seconds, for each answer that is not itself a wait. ``owner`` names this installation on the
    images it pulls (lower-case letters and digits); no pull may leave fewer bytes free on the
    Engine's disk than ``least_free``. Make one per process: its connections must
    not cross a fork. Threads may share it.

    Whatever goes wrong between here and the Engine is an ``OperationFailed`` with a sentence.
    """

    def __init__(
        self,
        base_url: str,
        *,
        network: str,
        subnet: str,
        timeout: float,
        owner: str,
        least_free: int = 0,
        bridge: str | None = None,
    ) -> None:
        self._engine = EngineConnection(base_url, timeout=timeout)
        disk = EngineDisk(self._engine, least=least_free)
        self._images = DockerImages(self._engine, Marks(owner), disk)
        self._containers = DockerContainers(
            self._engine, IsolatedNetwork.named(network, subnet, bridge), self._images
        )
        self._files = ImageFiles(self._engine, self._containers)
        self._health = DockerHealth(self._engine, self._containers)

    def resolve(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        """See ``Runtime.resolve``."""
        return self._images.resolve(reference, credentials)

    def pull(
        self,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        *,
        progress: Callable[[str], None],
        summary: Callable[[str], None],
        seconds: float,
    ) -> Image:
        """See ``Runtime.pull``."""
        return self._images.pull(
            reference, credentials, progress=progress, summary=summary, seconds=seconds
        )

    def image(self, pinned_or_id: str) -> Image | None:
        """See ``Runtime.image``."""
        return self._images.image(pinned_or_id)

    def files(
        self,
        image: Image,
        paths: Sequence[str],
        *,
        limit: int,
        name: str,
        labels: Mapping[str, str],
    ) -> dict[str, bytes]:
        """See ``Runtime.files``."""
        return self._files.read(image, paths, limit=limit, name=name, labels=labels)

    def pulled(self) -> list[str]:
        """See ``Runtime.pulled``."""
        return self._images.pulled()

    def remove_image(self, pinned: str) -> bool:
        """See ``Runtime.remove_image``."""
        return self._images.remove(pinned)

    def run(self, spec: ContainerSpec, *, output: Callable[[bytes], None], seconds: float) -> int:
        """See ``Runtime.run``. What ``output`` raises kills the container and passes through."""
        ends = time.monotonic() + seconds
        identifier = self._containers.create(spec)
        try:
            return self._run(identifier, spec.name, output, ends)
        except TimeoutError:
            raise StepTimedOut(
                f"The command did not end within {seconds:g} s and was killed."
            ) from None
        finally:
            self._containers.remove(identifier)

    def start(self, spec: ContainerSpec) -> Container:
        """See ``Runtime.start``."""
        for _ in range(_ADDRESSES_TRIED):
            if container := self._start_new(spec):
                return container
        raise OperationFailed(
            f"The container {spec.name} could not be started: each of {_ADDRESSES_TRIED} addresses "
            "that were free went to another container at the same moment. Try again."
        )

    def settle(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.settle``."""
        ended = None
        if seconds > 0:  # a look is enough for one that has run long enough beside another
            ended = self._containers.exited(container.id, container.name, seconds=seconds)
        if ended is not None or not self._running(container):
            raise self._containers.death(container.id, container.name)

    def healthy(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.healthy``."""
        self._health.wait(container, seconds=seconds)

    def keep(self, container: Container) -> None:
        """See ``Runtime.keep``."""
        self._containers.set_restart_policy(container.id, container.name, _KEPT)
        # The policy works from the next death on. One between health check and here is ours.
        if not self._running(container):
            self._start(container.id, container.name)

    def stop(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.stop``. The Engine is told first: it may be restarted at any time."""
        try:
            self._containers.set_restart_policy(container.id, container.name, _LEFT)
        except ContainerDied:
            return
        with self._engine.asked_to(f"stop the container {container.name}") as api:
            try:
                api.stop(container.id, timeout=math.ceil(seconds))
            except NotFound:
                return

    def resume(self, container: Container) -> Container:
        """See ``Runtime.resume``."""
        self._containers.set_restart_policy(container.id, container.name, _KEPT)
        self._start(container.id, container.name)
        return self._containers.inspect(container.id, container.name)

    def remove(self, container: Container) -> None:
        """See ``Runtime.remove``."""
        self._containers.remove(container.id)

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """See ``Runtime.containers``."""
        return self._containers.labelled(labels)

    def log(
        self, container: Container, *, since: str = "", last: int | None = None
    ) -> AbstractContextManager[Iterator[Entry] | None]:
        """Lend the entries of the container's log from the time ``since`` on, as they are read.

        With ``last``, the last so many of them. None for a container that is gone. What the reader
        does not take stays with the Engine.
        """
        return self._containers.log(container.id, container.name, since_time=since, last=last)

    def visit(self, spec: ContainerSpec) -> VisitedContainer:
        """Create a container for somebody to be attached to; ``close`` it to have it removed."""
        return VisitedContainer(self._containers, spec)

    def tail(self, container: Container, *, lines: int) -> list[str]:
        """See ``Runtime.tail``. A container that is gone has none."""
        return self._containers.tail(container.id, container.name, lines=lines)

    def _run(self, identifier: str, name: str, output: Callable[[bytes], None], ends: float) -> int:
        """Return the exit status. Raises ``TimeoutError`` at ``ends`` (monotonic)."""
        with self._containers.attached(identifier, name) as response:
            output(b"")  # making the container may have taken so long that nobody wants it now
            if failure := self._containers.start(identifier, name):
                if failure.status == OTHER:
                    raise ContainerDied(failure.sentence)
                output(f"{failure.sentence}\n".encode())  # as a shell would tell it
                return failure.status
            for chunk in attached_output.chunks(response, ends=ends):
                output(chunk)
        status = self._containers.exited(identifier, name, seconds=ends - time.monotonic())
        if status is None:
            raise TimeoutError
        return status

    def _start_new(self, spec: ContainerSpec) -> Container | None:
        """Return the container; None if its address was taken between choice and start."""
        identifier = self._containers.create(spec, fixed_address=True)
        with ExitStack() as undo:
            undo.callback(self._containers.remove, identifier)
            if failure := self._containers.start(identifier, spec.name):
                if failure.address_taken:
                    return None
                raise ContainerDied(failure.sentence)
            container = self._containers.inspect(identifier, spec.name)
            undo.pop_all()
        return container

    def _start(self, identifier: str, name: str) -> None:
        if failure := self._containers.start(identifier, name):
            raise ContainerDied(failure.sentence)

    def _running(self, container: Container) -> bool:
        return self._containers.inspect(container.id, container.name).running
