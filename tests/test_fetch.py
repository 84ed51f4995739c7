"""A fetch as the slots see it: from outside, nobody can tell whether git or its client is slow."""

import threading
import time
from pathlib import Path

from bare_repository import BareRepository

from receiver.fetch import Fetch
from receiver.wire import Wire


def test_a_silent_client_can_be_sent_away(tmp_path: Path) -> None:
    """It holds a place with ``git upload-pack`` waiting for it; the end of its wire ends git."""
    server = BareRepository(tmp_path / "1.git")
    refs = {"refs/heads/topic": server.commit()}
    fetch = Fetch(server.path, refs, "refs/heads/master", stateless=False, advertise=False)
    wire = Wire()
    wire.transport_end.settimeout(10)
    handler = threading.Thread(target=lambda: fetch.handle(wire, idle=60))
    handler.start()
    assert b"refs/heads/topic" in wire.transport_end.recv(4096)
    assert wire.waits_for_client

    began = time.monotonic()
    wire.break_off("others wait")
    handler.join(10)

    assert not handler.is_alive()
    assert time.monotonic() - began < 5
    wire.close_handler_end()
    wire.transport_end.close()
