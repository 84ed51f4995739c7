"""Terminals: the command of an execute, in a container of its own of the live release (SPEC 6)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import asyncssh

from enclave.app import App, AppStatus
from enclave.attending import Execute
from enclave.errors import OperationFailed, StoreUnavailable
from enclave.store import Store
from enclave.store.visits import NOTED_SECONDS
from worker.attendant.visit import Visit
from worker.live import read_live
from worker.plan import Placement
from worker.runtime import ContainerSpec
from worker.runtime.docker_engine import DockerEngine

logger = logging.getLogger(__name__)

MOST_OF_AN_APP = 20
"""Terminals at a time: each may take as much memory as a service's container."""

_NOTES_AN_EXPIRY = 3
_NOTING_THREADS = 2  # of their own: an Engine that hangs may hold all others

Process = asyncssh.SSHServerProcess[bytes]


class Terminals:
    """Runs commands for who is at the other end of a session."""

    def __init__(self, store: Store, runtime: DockerEngine, installation: str) -> None:
        self._store, self._runtime, self._installation = store, runtime, installation
        self._noting = ThreadPoolExecutor(_NOTING_THREADS, "notes of terminals")
        self._served: Counter[int] = Counter()

    def serves(self, operation_id: int) -> bool:
        """Whether a terminal of the operation is open here."""
        return self._served[operation_id] > 0

    async def run(self, request: Execute, process: Process) -> int:
        """Return the command's exit status. Cancelled, it removes the container all the same.

        Raises ``NotFound``, ``OperationFailed`` and ``StoreUnavailable``.
        """
        operation_id = request.operation_id
        app = await asyncio.to_thread(self._app, operation_id)
        terminal = process.term_type is not None
        spec = await asyncio.to_thread(self._spec, app, operation_id, terminal=terminal)
        self._served[operation_id] += 1
        try:
            await self._in_a_thread_for_notes(operation_id)
            visiting = asyncio.create_task(self._visit(spec, process))
            watching = asyncio.create_task(self._watch(app.id, operation_id))
            try:
                await asyncio.wait({visiting, watching}, return_when=asyncio.FIRST_COMPLETED)
                if not visiting.done():
                    raise OperationFailed(f"The app {app.name} is deprovisioned.")
                return visiting.result()
            finally:
                for task in (visiting, watching):
                    task.cancel()
                await asyncio.gather(visiting, watching, return_exceptions=True)
        finally:
            self._served[operation_id] -= 1

    async def _visit(self, spec: ContainerSpec, process: Process) -> int:
        opening = asyncio.ensure_future(asyncio.to_thread(self._runtime.visit, spec))
        try:
            container = await asyncio.shield(opening)
            return await Visit(container, process, terminal=spec.terminal).run()
        finally:  # whatever happened, also while it was being made
            with suppress(OperationFailed):  # then a sweep removes it
                await asyncio.to_thread((await opening).close)

    def _app(self, operation_id: int) -> App:
        operation = self._store.operations.operation(operation_id)
        return self._store.apps.app(operation.request.app_id)

    def _spec(self, app: App, operation_id: int, *, terminal: bool) -> ContainerSpec:
        command = self._store.operations.changes(operation_id).command
        live = read_live(self._store, app)
        if live.release is None or command is None:
            raise OperationFailed(f"The app {app.name} has no release to run a command in.")
        if self._runtime.image(live.release.image_id) is None:
            raise OperationFailed(
                f"The image of {app.name} is not on the Docker Engine any more: pull it again "
                f"(aptible rebuild --app {app.handle})."
            )
        placement = Placement(self._installation, app)
        if len(self._runtime.containers(placement.visits())) >= MOST_OF_AN_APP:
            raise OperationFailed(
                f"{MOST_OF_AN_APP} terminals of {app.name} are open already: close one first."
            )
        return placement.visit_container(
            operation_id,
            live.release,
            live.configuration,
            command,
            visit=secrets.token_hex(3),
            terminal=terminal,
        )

    async def _watch(self, app_id: int, operation_id: int) -> None:
        """Say again and again that the terminal is open; return when the app has gone."""
        while True:
            await asyncio.sleep(NOTED_SECONDS / _NOTES_AN_EXPIRY)
            with suppress(StoreUnavailable):
                await self._in_a_thread_for_notes(operation_id)
                app = await asyncio.to_thread(self._store.apps.app, app_id)
                if app.status is AppStatus.DEPROVISIONED:
                    return

    async def _in_a_thread_for_notes(self, operation_id: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._noting, self._store.visits.note, operation_id)
