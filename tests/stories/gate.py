"""A gate before the registry: pulls that come through it wait until it is opened."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from testbed.images import Images
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

_ARRIVAL_SECONDS = 30


class Gate:
    """``with Gate(registry) as gate:`` forwards ``gate.address`` to the registry while open."""

    def __init__(self, registry: PrivateRegistry) -> None:
        self._registry = registry
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._arrived = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def image(self, images: Images, version: str = "1") -> str:
        """Return the reference of ``images.web(version)`` behind the gate."""
        return images.web(version).replace(self._registry.address, self.address)

    def open(self) -> None:
        """Let pass who waits, and all who come."""
        self._open.set()

    def close(self) -> None:
        """Hold up who comes from now on."""
        self._open.clear()
        self._arrived = 0

    def wait_for_somebody(self) -> None:
        """Return when somebody stands before it."""
        wait_until(
            lambda: self._arrived > 0, seconds=_ARRIVAL_SECONDS, what="nobody came to the gate"
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._arrived += 1
                threading.Thread(target=self._let_pass, args=(near,), daemon=True).start()

    def _let_pass(self, near: socket.socket) -> None:
        self._open.wait()
        host, _, port = self._registry.address.partition(":")
        with suppress(OSError):
            far = socket.create_connection((host, int(port)))
            threading.Thread(target=_pump, args=(far, near), daemon=True).start()
            _pump(near, far)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
