"""What a receiver may ask on a line, and who answers."""

from __future__ import annotations

import asyncio
import logging

import asyncssh

from enclave.attending import Execute, FollowContainers, read_request
from enclave.errors import EnclaveError
from enclave.store import Store
from worker.attendant.abandoned_terminals import AbandonedTerminals
from worker.attendant.container_output import ContainerOutput
from worker.attendant.terminals import Terminals
from worker.runtime.docker_engine import DockerEngine

logger = logging.getLogger(__name__)

_FAILED = 1

Process = asyncssh.SSHServerProcess[bytes]


class Sessions:
    """One for the process: the Engine's connections and the store's are shared by all."""

    def __init__(self, store: Store, runtime: DockerEngine, installation: str) -> None:
        self._output = ContainerOutput(store, runtime, installation)
        self._terminals = Terminals(store, runtime, installation)
        self.abandoned = AbandonedTerminals(store, runtime, installation, self._terminals)

    async def serve(self, process: Process) -> None:
        """Answer one session, until its end or until nobody is there any more."""
        answering = asyncio.create_task(self._answer(process))
        leaving = asyncio.create_task(process.wait_closed())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            leaving.cancel()

    async def _answer(self, process: Process) -> None:
        try:
            request = read_request(process.command or "")
            match request:
                case FollowContainers():
                    await self._output.send(request, process)
                    process.exit(0)
                case Execute():
                    process.exit(await self._terminals.run(request, process))
        except (ConnectionError, asyncssh.Error):
            return  # the receiver went away
        except EnclaveError as error:
            process.stderr.write(f"ERROR: {error}\n".encode())
            process.exit(_FAILED)
        except Exception:  # the outermost frame of a session
            logger.exception("a session failed")
            process.stderr.write(b"ERROR: internal error: the attendant's log has more\n")
            process.exit(_FAILED)
