"""Sends a receiver what an app's containers print, as JSON objects, one a line.

``{"service", "index", "time", "line"}`` for each line; ``{"position"}`` behind some lines: who
comes again with it goes on behind them; ``{"note"}`` for what is not of the output; ``{"end"}``, a
sentence, when there is nothing more to follow.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import asyncssh

from enclave.app import AppStatus
from enclave.attending import FollowContainers
from enclave.errors import NotFound, OperationFailed, StoreUnavailable
from enclave.log_position import Position
from enclave.store import Store
from enclave.store.followers import LOOK_SECONDS, NOTED_SECONDS
from worker.attendant.followed_app import FollowedApp, Note
from worker.attendant.followed_container import Containers, Line
from worker.plan import Placement

DEPROVISIONED = "The app is deprovisioned: there is nothing more to follow."

_ENGINE_PAUSE_SECONDS = 2.0
_BATCH_BYTES = 64 << 10
_BATCH_SECONDS = 0.2  # lines that are there wait no longer for others


class ContainerOutput:
    """Looks again and again, as fast as the receiver takes what is found."""

    def __init__(self, store: Store, runtime: Containers, installation: str) -> None:
        self._store, self._runtime, self._installation = store, runtime, installation

    async def send(
        self, request: FollowContainers, process: asyncssh.SSHServerProcess[bytes]
    ) -> None:
        """Send until nobody reads any more, or the app is deprovisioned.

        Raises ``NotFound`` for an app that is none, and ``InvalidInput`` for no position.
        """
        events, over = await asyncio.to_thread(self._events, request), asyncio.Event()
        noting = asyncio.create_task(self._note_on(request, over))
        try:
            await _send(events, process, over)
        finally:
            noting.cancel()

    async def _note_on(self, request: FollowContainers, over: asyncio.Event) -> None:
        """Say that somebody follows, also while a reader takes nothing; see when it is over."""
        while True:
            if await asyncio.to_thread(self._note, request):
                over.set()
            await asyncio.sleep(NOTED_SECONDS / 3)

    def _events(self, request: FollowContainers) -> _Events:
        after = Position.read(request.after) if request.after else None
        labels = Placement(self._installation, self._store.apps.app(request.app_id)).labels()
        return _Events(FollowedApp(self._runtime, labels, last=request.last, after=after))

    def _note(self, request: FollowContainers) -> bool:
        """Say that somebody follows; return whether the app is deprovisioned."""
        try:
            self._store.followers.note(request.app_id, request.follower)
            return self._store.apps.app(request.app_id).status is AppStatus.DEPROVISIONED
        except NotFound:
            return True
        except StoreUnavailable:
            return False  # the last words of a container may be missed


async def _send(
    events: _Events, process: asyncssh.SSHServerProcess[bytes], over: asyncio.Event
) -> None:
    silent = ""
    while True:
        ending, pause = over.is_set(), LOOK_SECONDS  # what was printed before the end comes first
        try:
            await asyncio.to_thread(events.look)
            while batch := await asyncio.to_thread(events.batch):
                silent = ""
                process.stdout.write(batch)
                await process.stdout.drain()
        except OperationFailed as error:
            pause = _ENGINE_PAUSE_SECONDS
            if str(error) != silent:
                silent = str(error)
                process.stdout.write(_json(note=f"{error} Trying again."))
        if ending:
            process.stdout.write(_json(end=DEPROVISIONED))
            return
        await asyncio.sleep(pause)


class _Events:
    """What is found, as text, batch by batch; each tells its position if that has changed."""

    def __init__(self, followed: FollowedApp) -> None:
        self._followed = followed
        self._found: Iterator[Line | Note] = iter(())
        self._told = ""

    def look(self) -> None:
        """Begin another look. Raises ``OperationFailed``, as ``batch`` does."""
        self._followed.begin()
        self._found = self._followed.look()

    def batch(self) -> bytes:
        """Return some lines, and how far they lead; nothing when there are no more.

        The first batch of all is where it begins: who is cut off before a line comes has that.
        """
        batch, until = bytearray(), time.monotonic() + _BATCH_SECONDS
        if self._told or self._followed.comes_again:
            for found in self._found:
                batch += _event(found)
                if len(batch) >= _BATCH_BYTES or time.monotonic() > until:
                    break
        position = self._followed.position().text()
        if position != self._told:
            self._told = position
            batch += _json(position=position)
        return bytes(batch)


def _event(found: Line | Note) -> bytes:
    if isinstance(found, Note):
        return _json(note=found.text)
    return _json(service=found.service, index=found.index, time=found.time, line=found.text)


def _json(**event: object) -> bytes:
    return json.dumps(event).encode("ascii") + b"\n"
