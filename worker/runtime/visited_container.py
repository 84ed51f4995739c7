"""A container that somebody is attached to, for as long as they are."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

from worker.runtime import ContainerSpec
from worker.runtime.docker_containers import DockerContainers
from worker.runtime.start_failures import StartFailure


class VisitedContainer:
    """Created and attached to, and not started yet. Calls block; ``close`` removes it.

    ``stream`` is a socket of its own: what is sent there is the container's input, what comes is
    its output. Of a ``terminal`` as it is, else in frames (Engine API, "attach").
    """

    def __init__(self, containers: DockerContainers, spec: ContainerSpec) -> None:
        self._containers, self._name = containers, spec.name
        with ExitStack() as undo:
            self._id = containers.create(spec)
            undo.callback(containers.remove, self._id)
            attached = undo.enter_context(
                containers.attached(self._id, spec.name, stdin=spec.stdin)
            )
            # The container does not run, so nothing of its output is read ahead.
            self.stream = socket.socket(fileno=os.dup(attached.raw.fileno()))
            self._undo = undo.pop_all()

    def start(self) -> StartFailure | None:
        """Start it; return why it cannot be started."""
        return self._containers.start(self._id, self._name)

    def resize(self, *, columns: int, rows: int) -> None:
        """Give the terminal of a running container another size."""
        self._containers.resize(self._id, columns=columns, rows=rows)

    def signal(self, name: str) -> None:
        """Send a signal (``INT``) to its first process."""
        self._containers.signal(self._id, name)

    def exited(self, *, seconds: float) -> int | None:
        """Return the exit status when it has ended; None if it still runs after ``seconds``."""
        return self._containers.exited(self._id, self._name, seconds=seconds)

    def close(self) -> None:
        """Kill and remove it. Raises ``OperationFailed`` when the Engine does not let it."""
        self._undo.close()
