"""An Engine in memory, for what is not about Docker: who may touch which container, and when."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from enclave.credentials import RegistryCredentials
from enclave.errors import ContainerDied
from enclave.image import ImageReference
from worker.runtime import Container, ContainerSpec, Image


class Engine:
    """Containers in memory. ``on[CALL, THREAD]`` runs before a call made by that worker.

    ``in_image`` are the files of every image, by path.
    """

    def __init__(self) -> None:
        self.all: dict[str, Container] = {}
        self.commands: list[str] = []  # what was run to its end
        self.made: list[ContainerSpec] = []
        self.gone_images: set[str] = set()
        self.failing: set[str] = set()  # commands that exit 1
        self.images: set[str] = set()
        self.on: dict[tuple[str, str], Callable[[], None]] = {}
        self.in_image: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def running(self) -> list[str]:
        return sorted(each.image_id for each in self.all.values() if each.running)

    def _call(self, name: str) -> None:
        self.on.get((name, threading.current_thread().name), lambda: None)()

    def resolve(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        self._call("resolve")
        return "sha256:" + "a" * 64

    def pull(
        self,
        reference: ImageReference,
        *_: object,
        progress: object,
        summary: object,
        seconds: float,
    ) -> Image:
        self._call("pull")
        self.images.add(str(reference))
        return Image(str(reference), f"id of {reference.path}", (), ("serve",))

    def image(self, pinned_or_id: str) -> Image | None:
        if pinned_or_id in self.gone_images:
            return None
        return Image(pinned_or_id, pinned_or_id, (), ("serve",))

    def files(
        self,
        image: Image,
        paths: Sequence[str],
        *,
        limit: int,
        name: str,
        labels: Mapping[str, str],
    ) -> dict[str, bytes]:
        container = self._make(ContainerSpec(name, image.id, labels), running=False)
        self._call("files")
        self.all.pop(container.id, None)
        return {path: self.in_image[path] for path in paths if path in self.in_image}

    def pulled(self) -> list[str]:
        return sorted(self.images)

    def remove_image(self, pinned: str) -> bool:
        self._call("remove_image")
        name = f"id of {ImageReference.parse(pinned).path}"
        if any(each.image_id == name for each in self.all.values()):
            return False
        self.images.discard(pinned)
        return True

    def run(self, spec: ContainerSpec, *, output: Callable[[bytes], None], seconds: float) -> int:
        container = self._make(spec)
        self._call("run")
        command = (spec.command or ("",))[-1]
        self.commands.append(command)
        if self.all.pop(container.id, None) is None:
            return 137
        return 1 if command in self.failing else 0

    def start(self, spec: ContainerSpec) -> Container:
        self._call("start")
        return self._make(spec)

    def settle(self, container: Container, *, seconds: float) -> None:
        self._call("settle")
        if container.id not in self.all:
            raise ContainerDied("it is gone")

    def healthy(self, container: Container, *, seconds: float) -> None:
        self._call("healthy")
        if container.id not in self.all:
            raise ContainerDied("it is gone")

    def keep(self, container: Container) -> None:
        self._call("keep")

    def stop(self, container: Container, *, seconds: float) -> None:
        self._call("stop")
        with self._lock:
            if container.id in self.all:
                self.all[container.id] = replace(container, running=False)

    def resume(self, container: Container) -> Container:
        self._call("resume")
        self.all[container.id] = replace(container, running=True)
        return self.all[container.id]

    def remove(self, container: Container) -> None:
        self._call("remove")
        self.all.pop(container.id, None)

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        self._call("containers")
        with self._lock:
            found = list(self.all.values())
        return [each for each in found if labels.items() <= dict(each.labels).items()]

    def tail(self, container: Container, *, lines: int) -> list[str]:
        return []

    def _make(self, spec: ContainerSpec, *, running: bool = True) -> Container:
        with self._lock:
            identifier = str(next(self._numbers))
            made = Container(
                identifier, spec.name, spec.labels, running, spec.image_id, "127.0.0.1"
            )
            self.made.append(spec)
            self.all[identifier] = made
            return made


def hold_up(reached: threading.Event, until: threading.Event) -> Callable[[], None]:
    """Say that a call was reached, and hold it up."""

    def wait() -> None:
        reached.set()
        until.wait(20)

    return wait
