"""Sends a receiver what an app's containers print, as JSON objects, one a line.

``{"service", "index", "time", "line"}`` for each line, ``{"note"}`` for what is not of the output.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import asyncssh

from enclave.attending import FollowContainers
from enclave.errors import OperationFailed, StoreUnavailable
from enclave.store import Store
from enclave.store.followers import LOOK_SECONDS, NOTED_SECONDS
from worker.attendant.followed_app import FollowedApp
from worker.attendant.followed_container import Containers, Line
from worker.plan import Placement

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
        """Send until nobody reads any more. Raises ``NotFound`` for an app that is none."""
        app = await asyncio.to_thread(self._store.apps.app, request.app_id)
        followed = FollowedApp(
            self._runtime,
            Placement(self._installation, app).labels(),
            last=request.last,
            after=request.after,
        )
        silent, noted = "", 0.0
        while True:
            if time.monotonic() > noted + NOTED_SECONDS / 3:
                noted = time.monotonic()
                await self._note(app.id)
            pause = LOOK_SECONDS
            lines = followed.look()
            try:
                while batch := await asyncio.to_thread(_batch, lines):
                    silent = ""
                    process.stdout.write(batch)
                    await process.stdout.drain()
            except OperationFailed as error:
                pause = _ENGINE_PAUSE_SECONDS
                if str(error) != silent:
                    silent = str(error)
                    process.stdout.write(_json(note=f"{error} Trying again."))
            await asyncio.sleep(pause)

    async def _note(self, app_id: int) -> None:
        try:
            await asyncio.to_thread(self._store.followers.note, app_id)
        except StoreUnavailable:
            return  # the last words of a container may be missed


def _batch(lines: Iterator[Line]) -> bytes:
    """Return some lines; nothing when there are no more."""
    batch, until = bytearray(), time.monotonic() + _BATCH_SECONDS
    for line in lines:
        batch += _json(service=line.service, index=line.index, time=line.time, line=line.text)
        if len(batch) >= _BATCH_BYTES or time.monotonic() > until:
            break
    return bytes(batch)


def _json(**event: object) -> bytes:
    return json.dumps(event).encode("ascii") + b"\n"
