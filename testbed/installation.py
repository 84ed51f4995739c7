"""A whole Enclave, as ``enclave up`` runs it, in a directory of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
import httpx
import redis

from testbed.engine import API_VERSION
from testbed.person import Person
from testbed.processes import Child, free_port, wait_until

_READY_SECONDS = 60
_STOP_SECONDS = 60
_COMMAND_SECONDS = 60
PASSWORD = "a password nobody guesses"  # noqa: S105 -- of a platform that lives for a minute


class Installation:
    """``with Installation(engine_url) as installation:`` brings it up on ports of its own.

    The data directory has a short path below /tmp (a unix socket's path ends at 107 bytes) and is
    removed at the end, with every container. ``settings`` are further ``ENCLAVE_*`` variables.
    """

    def __init__(self, engine_url: str, *, settings: Mapping[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="enclave-", dir="/tmp"))
        self.data = self.directory / "data"
        self.http_port, self.ssh_port = free_port(), free_port()
        self.portal_port = free_port()
        self.router_http_port, self.router_https_port = free_port(), free_port()
        self.engine_url = engine_url
        self.environment = {
            **{name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "DOCKER_HOST": engine_url,
            "ENCLAVE_DATA": str(self.data),
            "ENCLAVE_HTTP_PORT": str(self.http_port),
            "ENCLAVE_SSH_PORT": str(self.ssh_port),
            "ENCLAVE_PORTAL_PORT": str(self.portal_port),
            "ENCLAVE_ROUTER_HTTP_PORT": str(self.router_http_port),
            "ENCLAVE_ROUTER_HTTPS_PORT": str(self.router_https_port),
            "ENCLAVE_STOP_SECONDS": "2",
            "ENCLAVE_SETTLE_SECONDS": "0.5",
            "ENCLAVE_LEASE_SECONDS": "6",
            "ENCLAVE_ENGINE_FREE_BYTES": str(64 << 20),  # the machine's disk may be a small one
            "ENCLAVE_SUBNET": _subnet(),
            **(settings or {}),
        }
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The root of API and git over HTTP."""
        return f"http://localhost:{self.http_port}"

    @property
    def redis_socket(self) -> Path:
        """Where the installation's own Redis listens."""
        return self.data / "redis.sock"

    def start(self) -> None:
        """Run ``enclave up`` and return when it answers. Raises ``PartUnavailable``."""
        self._child = Child(
            [sys.executable, "-m", "admin", "up"],
            log=self.directory / "up.log",
            environment=self.environment,
        )
        self._child.wait_ready(self.answers, seconds=_READY_SECONDS)

    def stop(self) -> None:
        """SIGTERM, as an operator would; its data stays."""
        if self._child is not None:
            self._child.stop(seconds=_STOP_SECONDS)
            self._child = None

    def answers(self) -> bool:
        """Whether the API and its store answer."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def wait_until_answering(self) -> None:
        """Return when it answers again, after a part of it was killed."""
        wait_until(self.answers, seconds=_READY_SECONDS, what="the installation did not answer")

    def pids(self, part: str) -> list[int]:
        """Return the process ids of ``receiver``, ``worker``, ``redis-server`` and so on.

        ``""`` stands for all. A worker's work horses count too.
        """
        if part == "redis-server":  # it overwrites its own command line and environment
            return [int((self.data / "redis.pid").read_text())]
        pattern = f"{self.data}/haproxy/haproxy.cfg" if part == "haproxy" else f"admin {part}"
        data = f"ENCLAVE_DATA={self.data}".encode()
        return [
            int(process.name)
            for process in Path("/proc").iterdir()
            if process.name.isdigit() and _matches(process, pattern.encode(), data)
        ]

    def workers(self) -> list[int]:
        """Return the process ids of the workers, without their work horses."""
        parent = self._child.pid if self._child else 0
        return [pid for pid in self.pids("worker") if _parent(pid) == parent]

    def horses(self) -> list[int]:
        """Return the process ids of the work horses, orphans among them."""
        workers = self.workers()
        return [pid for pid in self.pids("worker") if pid not in workers]

    def work_horses(self) -> dict[int, int]:
        """Return the workers' children that run an operation now, each with its worker's id."""
        workers = self.pids("worker")
        parents = {pid: _parent(pid) for pid in workers}
        return {pid: parent for pid, parent in parents.items() if parent in workers}

    def kill_all(self) -> None:
        """``kill -9`` every process of this installation at once, its supervisor first."""
        supervisor = [self._child.pid] if self._child else []
        redis_server = self.pids("redis-server") if (self.data / "redis.pid").exists() else []
        for pid in [*supervisor, *redis_server, *self.pids(""), *self.pids("haproxy")]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._child is not None:
            self._child.kill()
            self._child = None

    def kill(self, part: str) -> None:
        """``kill -9`` every process of a part; its supervisor starts it again."""
        for pid in self.pids(part):
            os.kill(pid, signal.SIGKILL)

    def enclave(self, *arguments: str, stdin: str = "") -> str:
        """Run the ``enclave`` command; return what it printed. Raises when it fails."""
        return subprocess.run(
            [sys.executable, "-m", "admin", *arguments],
            env={**self.environment, "ENCLAVE_PASSWORD": PASSWORD},
            input=stdin,
            text=True,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=True,
        ).stdout

    def person(self, email: str) -> Person:
        """Create a user with an SSH key and a home of their own, logged in."""
        self.enclave("user", "create", email)
        home = self.directory / "homes" / email
        person = Person(
            email,
            password=PASSWORD,
            home=home,
            url=self.url,
            ssh_port=self.ssh_port,
            environment=self.environment,
        )
        self.enclave("key", "add", email, "-", stdin=person.public_key)
        return person

    def containers(self, app: str, *, every: bool = False) -> list[dict[str, str]]:
        """Return the running containers of ``ENVIRONMENT/APP``: name, service, image id, address.

        ``every``: the stopped ones too.
        """
        labels = {"label": f"enclave.name={app}"}
        with docker.APIClient(base_url=self.engine_url, version=API_VERSION) as client:
            found = client.containers(all=every, filters=labels)
        return [
            {
                "name": container["Names"][0].removeprefix("/"),
                "service": container["Labels"].get("enclave.service", ""),
                "image": container["ImageID"],
                "operation": container["Labels"]["enclave.operation"],
                "address": next(iter(container["NetworkSettings"]["Networks"].values()))[
                    "IPAddress"
                ],
            }
            for container in sorted(found, key=lambda each: str(each["Names"]))
        ]

    def get(
        self, app: str, path: str = "/", *, service: str | None = None, port: int = 8080
    ) -> str:
        """Ask the app's first container (of ``service``) over HTTP; return the body."""
        container = next(
            each for each in self.containers(app) if service in (None, each["service"])
        )
        url = f"http://{container['address']}:{port}{path}"
        return httpx.get(url, timeout=10, trust_env=False).raise_for_status().text

    def redis(self) -> redis.Redis:
        """Return a client of the installation's Redis (text in and out), to look behind it."""
        return redis.Redis(
            unix_socket_path=str(self.redis_socket), decode_responses=True, socket_timeout=10
        )

    def app_id(self, app: str) -> int:
        """Return the number of ``ENVIRONMENT/APP``."""
        environment, _, handle = app.partition("/")
        with self.redis() as client:
            number = client.hget("enclave:environments:by-handle", environment)
            return int(str(client.hget(f"enclave:environment:{number}:apps", handle)))

    def refs(self, app: str) -> dict[str, str]:
        """Return the app's stored refs: full name -> 40 digits."""
        with self.redis() as client:
            return dict(client.hgetall(f"enclave:app:{self.app_id(app)}:refs"))

    def operations(self, app: str) -> list[str]:
        """Return the ids of the app's operations, oldest first."""
        with self.redis() as client:
            key = f"enclave:app:{self.app_id(app)}:operations"
            return [str(each) for each in client.zrange(key, 0, -1)]

    def _remove_containers(self, name: str) -> None:
        """Remove the containers of this installation from the engine, and no other's."""
        labels = {"label": f"enclave.installation={name}"}
        with docker.APIClient(base_url=self.engine_url, version=API_VERSION) as client:
            for container in client.containers(all=True, filters=labels):
                client.remove_container(container["Id"], force=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        name = self.redis().get("enclave:installation") if self.answers() else None
        self.stop()
        if name:
            self._remove_containers(str(name))
        shutil.rmtree(self.directory, ignore_errors=True)


def _subnet() -> str:
    """Return a subnet that nobody else is likely to have: all share the machine's routes."""
    return f"10.{secrets.choice(range(128, 192))}.{secrets.randbelow(256)}.0/24"


def _parent(pid: int) -> int:
    """Return a process's parent, 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _matches(process: Path, pattern: bytes, data: bytes) -> bool:
    """Whether a process of /proc is that part of this installation."""
    try:
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
        return pattern in command and data in (process / "environ").read_bytes()
    except OSError:  # it ended meanwhile
        return False
