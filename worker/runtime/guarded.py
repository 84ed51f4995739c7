"""A runtime that asks before it changes anything whether it still may."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from enclave.credentials import RegistryCredentials
from enclave.image import ImageReference
from worker.runtime import Container, ContainerSpec, Image, Runtime


class GuardedRuntime:
    """Any ``Runtime``, for the holder of a lease: the Engine itself knows no fence (DESIGN 4).

    ``hold`` runs before each call that changes something, and raises when the lease is lost.
    """

    def __init__(self, runtime: Runtime, hold: Callable[[], None]) -> None:
        self._runtime, self._hold = runtime, hold

    def resolve(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        """See ``Runtime.resolve``."""
        return self._runtime.resolve(reference, credentials)

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
        self._hold()
        return self._runtime.pull(
            reference, credentials, progress=progress, summary=summary, seconds=seconds
        )

    def image(self, pinned_or_id: str) -> Image | None:
        """See ``Runtime.image``."""
        return self._runtime.image(pinned_or_id)

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
        self._hold()
        return self._runtime.files(image, paths, limit=limit, name=name, labels=labels)

    def pulled(self) -> list[str]:
        """See ``Runtime.pulled``."""
        return self._runtime.pulled()

    def remove_image(self, pinned: str) -> bool:
        """See ``Runtime.remove_image``."""
        self._hold()
        return self._runtime.remove_image(pinned)

    def run(self, spec: ContainerSpec, *, output: Callable[[bytes], None], seconds: float) -> int:
        """See ``Runtime.run``."""
        self._hold()
        return self._runtime.run(spec, output=output, seconds=seconds)

    def start(self, spec: ContainerSpec) -> Container:
        """See ``Runtime.start``."""
        self._hold()
        return self._runtime.start(spec)

    def settle(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.settle``."""
        self._runtime.settle(container, seconds=seconds)

    def healthy(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.healthy``."""
        self._runtime.healthy(container, seconds=seconds)

    def keep(self, container: Container) -> None:
        """See ``Runtime.keep``."""
        self._hold()
        self._runtime.keep(container)

    def stop(self, container: Container, *, seconds: float) -> None:
        """See ``Runtime.stop``."""
        self._hold()
        self._runtime.stop(container, seconds=seconds)

    def resume(self, container: Container) -> Container:
        """See ``Runtime.resume``."""
        self._hold()
        return self._runtime.resume(container)

    def remove(self, container: Container) -> None:
        """See ``Runtime.remove``."""
        self._hold()
        self._runtime.remove(container)

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """See ``Runtime.containers``."""
        return self._runtime.containers(labels)

    def tail(self, container: Container, *, lines: int) -> list[str]:
        """See ``Runtime.tail``."""
        return self._runtime.tail(container, lines=lines)
