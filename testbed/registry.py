"""A registry of our own on 127.0.0.1, with a password: Debian's ``docker-registry``."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.processes import Child, free_port, program

_READY_SECONDS = 15


class PrivateRegistry:
    """``with PrivateRegistry(directory) as registry:`` serves images at ``registry.address``.

    Everything it holds lies in ``directory``, which is removed at the end. The first of ``users``
    (name to password) is ``username`` and ``password``.
    """

    def __init__(self, directory: Path, users: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._users = dict(users or {"deployer": "correct-horse-7"})
        self._port = free_port()
        self._child: Child | None = None
        self.username, self.password = next(iter(self._users.items()))

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, the first part of an image reference."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Write its configuration and start it. Raises ``PartUnavailable``."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_configuration()
        self._serve()

    def stop(self) -> None:
        """End it and remove its directory."""
        if self._child is not None:
            self._child.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL: the registry is gone, its images are not."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Serve again on the same port, after ``kill`` or out of the blue."""
        if self._child is not None:
            self._child.stop()
        self._serve()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        self._child = Child(
            [
                program("docker-registry", package="docker-registry"),
                "serve",
                str(self._directory / "config.yml"),
            ],
            log=self._directory / "registry.log",
        )
        self._child.wait_ready(self._answers, seconds=_READY_SECONDS)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == http.HTTPStatus.UNAUTHORIZED
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _write_configuration(self) -> None:
        passwords = self._directory / "htpasswd"
        passwords.write_text("".join(map(_htpasswd_line, self._users.items())))
        passwords.chmod(0o600)
        configuration = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._directory / "images")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address, "secret": "of one process, so not shared"},
            "auth": {"htpasswd": {"realm": "testbed", "path": str(passwords)}},
        }
        # JSON is YAML, and this way no value needs quoting by hand.
        (self._directory / "config.yml").write_text(json.dumps(configuration, indent=2))


def _htpasswd_line(user: tuple[str, str]) -> str:
    """Return ``NAME:BCRYPT`` and a newline; the password goes in by standard input."""
    name, password = user
    htpasswd = program("htpasswd", package="apache2-utils")
    made = subprocess.run(
        [htpasswd, "-niBC", "4", name],
        input=password,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return made.stdout.strip() + "\n"
