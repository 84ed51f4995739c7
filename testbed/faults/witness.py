"""Counts what commands really did: each before_release asks this server for a number once."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Witness:
    """An HTTP server outside the platform, which nobody kills; ``seen`` counts paths."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        lock = threading.Lock()
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Count and answer."""
                with lock:
                    seen[self.path] += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # noqa: S104 -- for containers
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def command(self, path: str) -> str:
        """Return the shell command that has ``path`` counted, from within a container."""
        port = self._server.server_address[1]
        gateway = "$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')"
        return f"wget -q -O /dev/null http://{gateway}:{port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
