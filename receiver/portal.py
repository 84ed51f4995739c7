"""The log portal (SSH): an operation's log, its containers' output, or a terminal (API.md).

Who shows a certificate of ours for an operation sees that operation, and nothing else can be asked
for: no command, no file, no forwarding. The exit status is not 0 when the operation failed.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import cast

import asyncssh
from anyio import CapacityLimiter, to_thread

from enclave.access import permitted_visit
from enclave.errors import EnclaveError, NotFound, StoreUnavailable
from enclave.operation import Operation, OperationStatus, OperationType
from enclave.portal import Visit, authority_key
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import token_holder
from receiver.attendants import Attendants
from receiver.conversation import STORE_AWAY
from receiver.follow import follow_operation
from receiver.places import Places
from receiver.portal_output import PortalWatcher, show_containers
from receiver.ssh_door import Door, open_doors
from receiver.ssh_host_keys import rsa_only
from receiver.terminal import connect_terminal

logger = logging.getLogger(__name__)

PERMITTED_SECONDS = 30.0
"""Between two looks at whether a visitor may stay."""

_FAILED = 1
_REFUSED = 255  # as ssh itself exits when it gets no connection

Process = asyncssh.SSHServerProcess[bytes]


class Portal:
    """The SSH server: ``start`` it, ``close`` what that returns."""

    def __init__(
        self, store: Store, settings: Settings, attendants: Attendants, places: Places
    ) -> None:
        self._store, self._settings, self._attendants = store, settings, attendants
        self._places = places
        self._threads = CapacityLimiter(settings.push_waiting)
        authority = asyncssh.import_public_key(authority_key(store.sealer))
        self._authority = authority.public_data

    async def start(self, keys: list[asyncssh.SSHKey]) -> asyncssh.SSHAcceptor:
        """Listen, as the host with these keys; returns the acceptor."""
        return await open_doors(
            lambda: _PortalDoor(self._places, self._settings, self._authority),
            self._settings,
            port=self._settings.portal_port,
            keys=rsa_only(keys),
            process_factory=self._serve,
        )

    async def _serve(self, process: Process) -> None:
        """Show what the visit is about, until its end or the visitor's leaving."""
        door = cast(_PortalDoor, process.channel.get_connection().get_owner())
        door.session_used()
        try:
            process.exit(await self._show(process))
        except (ConnectionError, asyncssh.Error) as error:
            logger.info("a visitor went away: %s", error)
            process.channel.abort()
        except StoreUnavailable:
            _refuse(process, STORE_AWAY)
        except EnclaveError as error:
            _refuse(process, str(error))
        except Exception:  # the outermost frame of a session
            reference = uuid.uuid4().hex[:12]
            logger.exception("visit %s failed", reference)
            _refuse(process, f"internal error {reference}: tell the server's operator")
        finally:
            door.leave_session()

    async def _show(self, process: Process) -> int:
        """Show it for as long as the visitor may see it; return the exit status."""
        visit = Visit.read(str(process.get_extra_info("username")))
        operation = await asyncio.to_thread(self._permitted, visit)
        showing = asyncio.ensure_future(self._show_operation(process, operation))
        watching = asyncio.ensure_future(self._watch(visit))
        try:
            await asyncio.wait({showing, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not showing.done():
                watching.result()
            return await showing
        finally:
            for task in (showing, watching):
                task.cancel()
                task.add_done_callback(_forget)

    async def _watch(self, visit: Visit) -> None:
        """Ask again and again; raises as ``_permitted`` once the answer is no."""
        while True:
            await asyncio.sleep(PERMITTED_SECONDS)
            try:
                await asyncio.to_thread(self._permitted, visit)
            except StoreUnavailable as error:
                logger.warning("nobody can tell whether a visitor may stay: %s", error)

    async def _show_operation(self, process: Process, operation: Operation) -> int:
        match operation.request.type:
            case OperationType.EXECUTE:
                return await connect_terminal(self._attendants, operation, process)
            case OperationType.LOGS:
                ended = await show_containers(self._attendants, operation, process)
                return 0 if ended else _FAILED
            case _:
                return await self._log(process, operation)

    def _permitted(self, visit: Visit) -> Operation:
        """Ask once more: the certificate may be older than a member's leaving.

        Raises ``Unauthenticated`` and as ``permitted_visit``.
        """
        visitor = token_holder(self._store, visit.token_id)
        return permitted_visit(self._store, visitor, visit.operation_id)

    async def _log(self, process: Process, operation: Operation) -> int:
        watcher = PortalWatcher(process, asyncio.get_running_loop())
        ended = await to_thread.run_sync(
            lambda: follow_operation(
                self._store, operation.id, watcher, silence=self._settings.keepalive_seconds
            ),
            limiter=self._threads,
        )
        return 0 if ended.status is OperationStatus.SUCCEEDED else _FAILED


class _PortalDoor(Door):
    """Lets a connection in by a certificate for the very name it logs in with."""

    def __init__(self, places: Places, settings: Settings, authority: bytes) -> None:
        super().__init__(places, settings)
        self._authority = authority

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Take certificates of ours; asyncssh checks principal, times and signature itself."""
        self._tried += 1
        try:
            Visit.read(username)
        except NotFound:
            return False
        return key.public_data == self._authority

    def session_requested(self) -> bool:
        """Open the one session. Raises ``ChannelOpenError`` for another."""
        self.enter_session()
        return True


def _forget(task: asyncio.Future[int] | asyncio.Future[None]) -> None:
    """Take what a task that was left behind still raises."""
    if not task.cancelled():
        task.exception()


def _refuse(process: Process, words: str) -> None:
    if not process.is_closing():
        process.stderr.write(f"ERROR: {words}\n".encode())
        process.exit(_REFUSED)
