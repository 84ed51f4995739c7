"""Terminals: the command of an execute, in a container of its own of the live release (SPEC 6)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import asyncssh

from enclave.attending import Execute
from enclave.errors import EnclaveError, OperationFailed, StoreUnavailable
from enclave.store import Store
from enclave.store.visits import NOTED_SECONDS
from worker.attendant.visit import Visit
from worker.live import read_live
from worker.plan import Placement
from worker.runtime import LABEL_OPERATION, LABEL_VISIT, ContainerSpec
from worker.runtime.docker_engine import DockerEngine

logger = logging.getLogger(__name__)

_NOTES_AN_EXPIRY = 3

Process = asyncssh.SSHServerProcess[bytes]


class Terminals:
    """Runs commands for who is at the other end of a session."""

    def __init__(self, store: Store, runtime: DockerEngine, installation: str) -> None:
        self._store, self._runtime, self._installation = store, runtime, installation

    async def run(self, request: Execute, process: Process) -> int:
        """Return the command's exit status. Cancelled, it removes the container all the same.

        Raises ``NotFound``, ``OperationFailed`` and ``StoreUnavailable``.
        """
        terminal = process.term_type is not None
        spec = await asyncio.to_thread(self._spec, request.operation_id, terminal=terminal)
        await asyncio.to_thread(self._store.visits.note, request.operation_id)
        noting = asyncio.create_task(self._note(request.operation_id))
        try:
            return await self._run(spec, process)
        finally:
            noting.cancel()

    async def _run(self, spec: ContainerSpec, process: Process) -> int:
        opening = asyncio.ensure_future(asyncio.to_thread(self._runtime.visit, spec))
        try:
            container = await asyncio.shield(opening)
            return await Visit(container, process, terminal=spec.terminal).run()
        finally:  # whatever happened, also while it was being made
            with suppress(OperationFailed):  # then a sweep removes it
                await asyncio.to_thread((await opening).close)

    def _spec(self, operation_id: int, *, terminal: bool) -> ContainerSpec:
        operation = self._store.operations.operation(operation_id)
        command = self._store.operations.changes(operation_id).command
        app = self._store.apps.app(operation.request.app_id)
        live = read_live(self._store, app)
        if live.release is None or command is None:
            raise OperationFailed(f"The app {app.name} has no release to run a command in.")
        if self._runtime.image(live.release.image_id) is None:
            raise OperationFailed(
                f"The image of {app.name} is not on the Docker Engine any more: pull it again "
                f"(aptible rebuild --app {app.handle})."
            )
        return Placement(self._installation, app).visit_container(
            operation_id, live.release, live.configuration, command, terminal=terminal
        )

    async def _note(self, operation_id: int) -> None:
        """Say again and again that the terminal is open."""
        while True:
            await asyncio.sleep(NOTED_SECONDS / _NOTES_AN_EXPIRY)
            with suppress(StoreUnavailable):
                await asyncio.to_thread(self._store.visits.note, operation_id)

    async def sweep_forever(self) -> None:
        """Remove what attendants that were killed have left, now and then."""
        while True:
            try:
                await asyncio.to_thread(self.sweep)
            except EnclaveError as error:
                logger.warning("containers of terminals are not looked at: %s", error)
            await asyncio.sleep(NOTED_SECONDS)

    def sweep(self) -> None:
        """Remove the containers of terminals that nobody serves.

        Raises ``OperationFailed`` and ``StoreUnavailable``.
        """
        for container in self._runtime.visited({LABEL_VISIT: self._installation}):
            if not self._store.visits.is_open(int(container.labels[LABEL_OPERATION])):
                logger.warning("removing %s: nobody serves that terminal", container.name)
                self._runtime.remove(container)
