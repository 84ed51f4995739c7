"""What a release needs of the machine that runs containers.

A runtime knows images, containers and labels; it knows nothing of apps, operations or Redis. The
deploy story (``worker/deploy.py``) is written against this protocol alone, and one contract test
runs against every implementation. Calls block; a step that can be long takes ``seconds``, and
raises ``StepTimedOut`` when they have passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from enclave.credentials import RegistryCredentials
from enclave.image import ImageReference

LABEL_INSTALLATION = "enclave.installation"
LABEL_APP = "enclave.app"
LABEL_NAME = "enclave.name"
LABEL_RELEASE = "enclave.release"
LABEL_OPERATION = "enclave.operation"
LABEL_FENCE = "enclave.fence"
LABEL_SERVICE = "enclave.service"
LABEL_INDEX = "enclave.index"
LABEL_VISIT = "enclave.visit"
"""The installation, on the container of somebody's terminal: no release's, so no ``LABEL_APP``."""
LABEL_VISITED_APP = "enclave.visit.app"
LABEL_STOP_SECONDS = "enclave.stop_seconds"
"""From SIGTERM to SIGKILL, for services that have a time of their own."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the runtime holds, and the part of its configuration a plan depends on.

    ``pinned`` is ``repository@sha256:…``: what the release records (SPEC 6.2). ``id`` is the
    runtime's own id (``sha256:…``): what containers run; an image that was built here has no digest
    of a registry, and is pinned by its id. None and the empty tuple both mean that
    the image sets no ENTRYPOINT or CMD.
    """

    pinned: str
    id: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    exposed_ports: tuple[int, ...] = ()
    has_healthcheck: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container to make. ``environment`` may hold secrets and never shows in a repr.

    ``command`` None leaves the image's CMD; ``entrypoint`` None leaves the image's ENTRYPOINT.
    ``name`` is unique on the runtime; a container of that name that already exists is the remains
    of a dead attempt and is replaced. It is no secret: on Docker every other container can look it
    up by DNS, so it must not hold a handle. ``stdin``: it reads what who is attached sends, to the
    end; ``terminal``: all three streams are one terminal.
    """

    name: str
    image_id: str
    labels: Mapping[str, str]
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory_mb: int = 1024
    stdin: bool = False
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the runtime sees it. ``address`` is its IP address, empty while stopped.

    ``restarting``: it has died, and the runtime starts it again by itself after a pause.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    running: bool
    image_id: str
    address: str = ""
    restarting: bool = False


class Runtime(Protocol):
    """Docker Engine today, Swarm beside it: same story, same contract test."""

    def resolve(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        """Ask the registry which digest (``sha256:…``) the reference means now.

        Raises ``ImageUnavailable`` with registry, repository and cure; never the password.
        """
        ...

    def pull(
        self,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        *,
        progress: Callable[[str], None],
        summary: Callable[[str], None],
        seconds: float,
    ) -> Image:
        """Make the digest-pinned ``reference`` present and return it.

        ``progress`` gets whole lines, one a second at most, each in place of the one before;
        ``summary`` one at the end. What they raise ends the pull and passes through. An image that
        is present needs neither registry nor credentials. One that was not is this installation's
        from now on (``pulled``).
        Raises ``ImageUnavailable`` (for want of disk space, too) or ``StepTimedOut``.
        """
        ...

    def image(self, pinned_or_id: str) -> Image | None:
        """Return an image that is present already, or None; asks no registry."""
        ...

    def files(
        self,
        image: Image,
        paths: Sequence[str],
        *,
        limit: int,
        name: str,
        labels: Mapping[str, str],
    ) -> dict[str, bytes]:
        """Return what the image has at these absolute paths, by path, without running it.

        A path where nothing is has no entry. Symbolic links are followed, inside the image only.
        ``limit`` is in bytes, for each file. ``name`` and ``labels`` are those of the container
        that may be needed, as in ``ContainerSpec``; it is gone afterwards.
        Raises ``OperationFailed``, naming the path, for what is larger, no file, or a link that
        leads nowhere.
        """
        ...

    def pulled(self) -> list[str]:
        """Return under which names (``Image.pinned``) this installation holds images it pulled.

        What a removal that was cut short has left of one is among them, by a name of its own.
        """
        ...

    def remove_image(self, pinned: str) -> bool:
        """Let go of an image that ``pull`` brought; gone, or nobody's of ours, is fine.

        It is removed unless somebody else has given it a name. False when a container was made
        from it, running or not: then it stays as it is.
        """
        ...

    def run(self, spec: ContainerSpec, *, output: Callable[[bytes], None], seconds: float) -> int:
        """Run a container to its end and remove it; return its exit status (137 when killed).

        ``output`` gets standard output and error as they come, in chunks that may end anywhere,
        and an empty one before the command is started; what it raises prevents or kills it, and
        passes through. As in a shell, 127 is a program that
        is not there and 126 one that cannot be executed; ``output`` gets the reason. Removing or
        stopping the container from another thread ends the call at once.
        Raises ``StepTimedOut`` after killing it, and ``ContainerDied`` when it cannot be started
        for another reason, or was removed before it was.
        """
        ...

    def start(self, spec: ContainerSpec) -> Container:
        """Create and start a service's container, without a restart policy yet.

        Its address is its own for as long as it runs or is restarted, also by an Engine that was
        killed. Raises ``ContainerDied`` when it cannot even be started (no such program, say).
        """
        ...

    def settle(self, container: Container, *, seconds: float) -> None:
        """Return when the container has run for ``seconds`` without dying.

        ``seconds`` count from this call; 0 is a look at whether it has died. Raises
        ``ContainerDied`` with the exit status and its last log lines, or when it is gone.
        """
        ...

    def healthy(self, container: Container, *, seconds: float) -> None:
        """Return when the image's HEALTHCHECK says that the container is healthy (SPEC 6.4).

        Stopping or removing the container from another thread ends the wait at once. Raises
        ``ContainerDied`` when it dies or is gone, ``OperationFailed`` with the last probe's output
        when it is unhealthy, ``StepTimedOut`` after ``seconds``, and ``ValueError`` for one
        without a HEALTHCHECK (``Image.has_healthcheck``).
        """
        ...

    def keep(self, container: Container) -> None:
        """Have the runtime restart the container from now on whenever it dies (SPEC 6.8).

        One that has died since it settled is started. The pauses between its restarts grow, and
        it keeps its address.
        Raises ``ContainerDied`` when it cannot be started, or is gone.
        """
        ...

    def stop(self, container: Container, *, seconds: float) -> None:
        """SIGTERM, then SIGKILL after ``seconds``. Stopped or gone already is fine."""
        ...

    def resume(self, container: Container) -> Container:
        """Start a stopped container again, with its restart policy.

        Raises ``ContainerDied`` when it cannot be started, say because another one has its
        address by now: then only one that is made anew helps.
        """
        ...

    def remove(self, container: Container) -> None:
        """Remove the container, running or not. Gone already is fine."""
        ...

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """Return every container, running or not, that carries all these labels."""
        ...

    def tail(self, container: Container, *, lines: int) -> list[str]:
        """Return the last lines of the container's output: whole ones, no end of a longer line.

        Of lines longer than some 100 KiB it may tell no more than that one is left out.
        """
        ...
