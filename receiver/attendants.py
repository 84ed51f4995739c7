"""Lines to attendants, who talk to the Engine: called when one is needed, for one session each.

The attendant dials, so a worker's machine needs no open port; on the line this end is the SSH
client (``enclave.attending``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import asyncssh

from enclave.attending import FollowContainers, Request, line_key, write_request
from enclave.errors import AttendantsAway, StoreUnavailable
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.calls import CALL_SECONDS

logger = logging.getLogger(__name__)

_CALLS = 2  # an attendant that took a call may have died with it
_LOGIN_SECONDS = 10
_KEEPALIVE_SECONDS = 15
_WINDOW = 256 << 10  # bytes an attendant may send ahead of who reads

_NO_SIZE = (0, 0, 0, 0)

Process = asyncssh.SSHClientProcess[bytes]


class Attendants:
    """``start`` it, then open sessions; ``close`` ends the listening."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._waiting: deque[asyncio.Future[asyncssh.SSHClientConnection]] = deque()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._address = ""

    async def start(self) -> None:
        """Listen for attendants, on a port that the kernel chooses."""
        key = asyncssh.import_private_key(line_key(self._store.sealer))
        host = self._settings.attendants_host
        self._acceptor = await asyncssh.listen_reverse(
            host,
            0,
            acceptor=self._joined,
            error_handler=_refused,
            config=None,
            username="receiver",
            client_keys=[key],
            agent_path=None,
            known_hosts=([key.convert_to_public()], [], []),
            login_timeout=_LOGIN_SECONDS,
            keepalive_interval=_KEEPALIVE_SECONDS,
        )
        self._address = f"{host}:{self._acceptor.get_port()}"

    def close(self) -> None:
        """Listen no more; sessions end with the event loop."""
        if self._acceptor is not None:
            self._acceptor.close()

    @asynccontextmanager
    async def session(
        self,
        request: Request,
        *,
        terminal: str | None = None,
        size: tuple[int, int, int, int] = _NO_SIZE,
    ) -> AsyncIterator[Process]:
        """Open a session with an attendant; it is over when the block is left.

        ``terminal`` is its type (``xterm``), None for none; ``size`` is columns, rows and pixels.
        Raises ``AttendantsAway`` when none comes, ``StoreUnavailable`` when none can be called.
        """
        connection = await self._connection()
        async with connection:
            yield await connection.create_process(
                write_request(request),
                encoding=None,
                window=_WINDOW,
                request_pty="force" if terminal else False,
                term_type=terminal,
                term_size=size,
            )

    @asynccontextmanager
    async def followed(self, request: FollowContainers) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lend the lines that an attendant sends for the request; it sends as they are taken.

        Raises as ``session``, and ``TooManyRequests`` when enough others follow that app. The lines
        end when the attendant does.
        """
        followers, app_id = self._store.followers, request.app_id
        follower = await asyncio.to_thread(followers.join, app_id)
        try:
            async with self.session(replace(request, follower=follower)) as process:
                yield _lines(process)
        finally:
            with suppress(StoreUnavailable):  # it expires
                await asyncio.shield(asyncio.to_thread(followers.leave, app_id, follower))

    async def _connection(self) -> asyncssh.SSHClientConnection:
        for _ in range(_CALLS):
            if connection := await self._answer():
                return connection
        raise AttendantsAway(
            "Nobody looks after the containers at this moment: is `enclave attendant` running? "
            "Its log says more."
        )

    async def _answer(self) -> asyncssh.SSHClientConnection | None:
        """Call once; return the connection of who came, None if nobody did."""
        coming: asyncio.Future[asyncssh.SSHClientConnection]
        coming = asyncio.get_running_loop().create_future()
        self._waiting.append(coming)
        try:
            await asyncio.to_thread(self._store.calls.make, self._address)
            await asyncio.wait([coming], timeout=CALL_SECONDS)
        except (asyncio.CancelledError, StoreUnavailable):  # who came all the same is nobody's
            if coming.done():
                coming.result().close()
            raise
        finally:
            if coming in self._waiting:
                self._waiting.remove(coming)
        return coming.result() if coming.done() else None

    def _joined(self, connection: asyncssh.SSHClientConnection) -> None:
        """An attendant came: it is for whoever has waited longest."""
        while self._waiting:
            coming = self._waiting.popleft()
            if not coming.done():
                coming.set_result(connection)
                return
        connection.close()


async def _lines(process: Process) -> AsyncIterator[bytes]:
    """Yield whole lines: asyncssh's own reader cuts those that are longer than a window."""
    begun = b""
    try:
        while data := await process.stdout.read(_WINDOW):
            *ended, begun = (begun + data).split(b"\n")
            for line in ended:
                yield line + b"\n"
        if words := await process.stderr.read():
            logger.warning("an attendant says: %s", words.decode(errors="replace"))
    except (ConnectionError, asyncssh.Error) as error:
        logger.info("an attendant went away: %s", error)


def _refused(_: object, error: Exception | None) -> None:
    logger.warning("somebody who is no attendant of ours dialled: %s", error)
