"""The router and a real HAProxy, as ``enclave up`` runs them, with a supervisor that restarts them.

No Engine and no worker: a test takes an app's lease and wants routes itself.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from enclave.settings import Settings
from router.runtime import HAProxy
from testbed.processes import SYSTEM_PATH, Child, free_port, wait_until

_SECONDS = 20.0
_PAUSE = 0.1


class Routing:
    """``with Routing(redis_url) as routing:``, in a directory and on ports of its own."""

    def __init__(
        self, redis_url: str, secret_keys: str = "", *, settings: Mapping[str, str] | None = None
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="routing-", dir="/tmp"))
        self.http_port, self.https_port = free_port(), free_port()
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:{SYSTEM_PATH}",
            "HOME": str(self.directory),
            "ENCLAVE_DATA": str(self.directory),
            "ENCLAVE_REDIS_URL": redis_url,
            "ENCLAVE_SECRET_KEYS": secret_keys,
            "ENCLAVE_ROUTER_HTTP_PORT": str(self.http_port),
            "ENCLAVE_ROUTER_HTTPS_PORT": str(self.https_port),
            **(settings or {}),
        }
        self.haproxy = HAProxy(Settings(data=self.directory).haproxy_socket)
        self._children: dict[str, Child] = {}
        self._held: set[str] = set()
        self._ended = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    @property
    def main_file(self) -> Path:
        """HAProxy's configuration."""
        return self.directory / "haproxy" / "haproxy.cfg"

    def __enter__(self) -> Self:
        self._supervisor.start()
        wait_until(self.answers, seconds=_SECONDS, what="HAProxy did not answer")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._supervisor.join(_SECONDS)
        for child in self._children.values():
            child.stop()
        shutil.rmtree(self.directory)

    def answers(self) -> bool:
        """Whether HAProxy answers a request."""
        try:
            self.get("no.such.host")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def get(self, host: str, path: str = "/", **headers: str) -> tuple[int, bytes]:
        """Ask for a path of a host over HTTP; return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host, **headers})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def pid(self, part: str) -> int:
        """Return the process id of ``router`` or ``haproxy`` (its master)."""
        return self._children[part].pid

    def worker_pid(self) -> int:
        """Return the process id of HAProxy's current worker: another one after each reload."""
        return self.haproxy.current().pid

    def kill(self, part: str) -> None:
        """``kill -9`` a part; it is started again unless held."""
        with suppress(ProcessLookupError):
            os.kill(self.pid(part), signal.SIGKILL)

    def hold(self, part: str) -> None:
        """Kill a part, and do not start it again before ``let_go``."""
        self._held.add(part)
        self.kill(part)
        wait_until(lambda: not self._children[part].running, seconds=5, what=f"{part} lives on")

    def let_go(self, part: str) -> None:
        """Start what was held."""
        self._held.discard(part)

    def log(self, part: str) -> str:
        """Return what a part has said."""
        return (self.directory / f"{part}.log").read_text()

    def _supervise(self) -> None:
        """Start what does not run; from one thread, which lasts: children die with it."""
        while not self._ended.wait(_PAUSE if self._children else 0):
            for part in ("router", "haproxy"):
                child = self._children.get(part)
                if part not in self._held and (child is None or not child.running):
                    self._children[part] = Child(
                        [sys.executable, "-m", "admin", part],
                        log=self.directory / f"{part}.log",
                        environment=self.environment,
                    )
