"""Packs as a client makes them, or no client would, taken in by a real git over a real wire."""

import hashlib
import subprocess
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress

from bare_repository import BareRepository

from enclave.settings import Settings
from receiver.index_pack import Talk
from receiver.quarantine import Quarantine
from receiver.slots import Slots
from receiver.wire import Wire


def packed(client: BareRepository, *revisions: str, thin: bool = False) -> bytes:
    """Return a pack as ``git push`` makes it."""
    options = ["--thin", "--delta-base-offset"] if thin else []
    return subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "-q", *options],
        input="".join(f"{each}\n" for each in revisions).encode(),
        env=client.objects.environment(),
        capture_output=True,
        check=True,
        timeout=20,
    ).stdout


def handmade(*entries: bytes) -> bytes:
    """Return a pack of these entries; ``git`` checks the sum at its end."""
    data = b"PACK" + (2).to_bytes(4) + len(entries).to_bytes(4) + b"".join(entries)
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def entry(kind: int, size: int, content: bytes, base: bytes = b"") -> bytes:
    """Return one object of a pack (gitformat-pack(5)); ``size`` may be a lie."""
    head = [kind << 4 | size & 15]
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head) + base + zlib.compress(content)


def take_in(
    server: BareRepository,
    data: bytes,
    *,
    ends: bool = True,
    strict: bool = True,
    judge: Callable[[Quarantine], None] = lambda _quarantine: None,
    silence: Callable[[], None] = lambda: None,
    progress: Callable[[bytes], None] = lambda _line: None,
    early: bool = True,
    **limits: float,
) -> None:
    """Send bytes as a transport does; call ``judge`` with what was taken in."""
    settings = Settings(**{"data": server.path.parent.parent, "free_disk_bytes": 0, **limits})
    wire = Wire()
    wire.transport_end.setblocking(True)

    def send() -> None:
        with suppress(OSError):
            wire.transport_end.sendall(data)
        if ends:
            wire.end_input()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with Quarantine(server.path) as quarantine:
            quarantine.take_in(
                *(wire, settings, slots_for(settings)),
                user_id=1,
                talk=Talk(silence, progress, early=early),
                strict=strict,
            )
            judge(quarantine)
    finally:
        wire.close_handler_end()
        sender.join(10)
        wire.transport_end.close()
    assert not sender.is_alive()


def slots_for(settings: Settings) -> Slots:
    return Slots(settings.push_slots, share=settings.push_slots_a_user, slow=settings.slow_bytes)


SILENT = Talk(lambda: None, lambda _line: None, early=True)
