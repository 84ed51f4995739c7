"""A real Caddy with the Caddyfile of ``deploy/``, which signs certificates itself."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.processes import Child, free_port, program

CADDYFILE = Path(__file__).parents[1] / "deploy" / "Caddyfile"
_SECONDS = 20.0


class Caddy:
    """``with Caddy(environment) as caddy:`` on ports of its own; ``environment`` is Enclave's."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="caddy-", dir="/tmp"))
        self.http_port, self.https_port = free_port(), free_port()
        self._api = environment["ENCLAVE_PUBLIC_URL"].removeprefix("https://")
        options = (
            f"default_bind 127.0.0.1\nhttp_port {self.http_port}\nhttps_port {self.https_port}\n"
            f"storage file_system {self._directory}\nlocal_certs\nskip_install_trust\nadmin off"
        )
        caddy = program("caddy", package="caddy")
        self._child = Child(
            [caddy, "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)],
            log=self._directory / "caddy.log",
            environment={
                **environment,
                "PATH": os.environ["PATH"],
                "HOME": str(self._directory),
                "CADDY_OPTIONS": options,
            },
        )

    @property
    def root(self) -> Path:
        """The certificate (PEM) that vouches for all it signs."""
        return self._directory / "pki" / "authorities" / "local" / "root.crt"

    def get(
        self, host: str, path: str = "/", *, source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, str]:
        """Ask for a path of a host over HTTPS, from an address; return status and body.

        Raises ``ssl.SSLError`` when it shows no certificate for that host.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.https_port, timeout=_SECONDS)
        context = ssl.create_default_context(cafile=str(self.root))
        plain = socket.create_connection(
            ("127.0.0.1", self.https_port), timeout=_SECONDS, source_address=(source, 0)
        )
        try:
            connection.sock = context.wrap_socket(plain, server_hostname=host)
            connection.request("GET", path, headers={"Host": host, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
            plain.close()

    def certificates(self) -> set[str]:
        """Return the hosts it has certificates for."""
        found = (self._directory / "certificates").glob("*/*/*.crt")
        return {path.stem for path in found}

    def __enter__(self) -> Self:
        self._child.wait_ready(self._answers, seconds=_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.stop()
        shutil.rmtree(self._directory)

    def _answers(self) -> bool:
        try:
            return self.root.exists() and self.get(self._api, "/healthz")[0] == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
