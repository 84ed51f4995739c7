"""Takes a pack in beside the repository, where nothing refers to it until it has been judged.

``objects/incoming-ID/`` belongs to one push: it is written by ``git index-pack``, removed with the
push, or moved into the store. What a killed receiver left is swept (``receiver/leftovers.py``).
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from enclave.errors import PushRefused, TooManyRequests
from enclave.settings import Settings
from hooks.git import Objects
from receiver.index_pack import HEADER_BYTES, IndexPack, Talk, too_large
from receiver.owned_directory import owned_directory
from receiver.packs import larger_than, move_in, packs
from receiver.slots import Slots
from receiver.wire import Wire

INCOMING = "incoming-"
"""The beginning of a quarantine's name."""

DISK_FULL = "the server's disk is almost full: tell its operator"
"""What a client is told, whichever write it was that had no room."""


class Quarantine:
    """One push's objects, until ``keep`` makes them the repository's. A context manager."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._store = repository / "objects"
        self._owned = ExitStack()
        self.objects_taken = 0

    def __enter__(self) -> Self:
        self.path = self._owned.enter_context(owned_directory(self._store, INCOMING))
        (self.path / "pack").mkdir()
        self.objects = Objects(self._repository, self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owned.close()

    def take_in(
        self,
        wire: Wire,
        settings: Settings,
        slots: Slots,
        *,
        user_id: int,
        talk: Talk,
        strict: bool = True,
    ) -> None:
        """Read one pack from the wire. Raises ``PushRefused`` with the verdict.

        ``strict`` False only reads the pack of a push that is refused already.
        """
        header = self._header(wire, settings)
        self.objects_taken = int.from_bytes(header[8:])
        silence = talk.silence if talk.early else None
        every = settings.keepalive_seconds
        try:
            with slots.taken(user_id, wire, silence=silence, every=every):
                self._index(header, wire, settings, talk, strict=strict)
        except TooManyRequests as error:
            raise PushRefused(f"pushes: {error}") from error

    def _header(self, wire: Wire, settings: Settings) -> bytes:
        """Read what a pack begins with; no place is taken yet, for this waits on the client."""
        header = wire.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or header[:4] != b"PACK":
            raise PushRefused(
                f"no pack came for {settings.push_idle_seconds:.0f}s"
                if wire.timed_out
                else "no pack came"
            )
        count = int.from_bytes(header[8:])
        if count > settings.push_objects:
            raise PushRefused(
                f"a pack of {count} objects: at most {settings.push_objects} are taken, "
                "push the history in parts"
            )
        return header

    def _index(
        self, header: bytes, wire: Wire, settings: Settings, talk: Talk, *, strict: bool
    ) -> None:

        def look() -> None:  # others fill the disk, too
            if self._room(settings) <= 0:
                raise PushRefused(DISK_FULL)

        look()
        room = self._room(settings)
        try:
            IndexPack(self.objects, wire, settings, talk, look).run(
                header, most_bytes=min(settings.push_bytes, room), strict=strict
            )
        except PushRefused as refusal:
            if self._room(settings) <= 0 or (
                room < settings.push_bytes and "maximum allowed size" in str(refusal)
            ):
                raise PushRefused(DISK_FULL) from refusal
            raise
        for pack in packs(self.path):
            size = larger_than(pack, settings.push_object_bytes)
            if size is not None:
                raise PushRefused(too_large(size, settings))

    def _room(self, settings: Settings) -> int:
        """Return how many bytes the disk takes before it counts as full."""
        return shutil.disk_usage(self._store).free - settings.free_disk_bytes

    def keep(self) -> None:
        """Make the objects the repository's, durably."""
        move_in(self.path / "pack", self._store)
