"""A Docker Engine of our own, beside whatever else runs on the machine, gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
import requests
from docker.errors import APIError, DockerException

from testbed.firewall import write_renaming_iptables
from testbed.processes import SYSTEM_PATH, Child, PartUnavailable, program
from testbed.sweep import DONE, sweep

API_VERSION = "1.41"
_PREDEFINED_NETWORKS = {"bridge", "host", "none"}
_READY_SECONDS = 30
_ANSWER_SECONDS = 5


class PrivateEngine:
    """``with PrivateEngine(directory) as engine:`` runs a dockerd that listens on ``engine.url``.

    Its images and log lie in ``directory``; its socket in a short directory of its own below /tmp,
    for a socket's path ends at 107 bytes. At the end containers, networks, bridges, mounts and both
    directories are removed; with ``keep`` what is in ``directory`` stays, for the next start.
    If its owner is killed with -9, a watcher does the same. It has no default network: containers
    get one only by name.
    """

    def __init__(self, directory: Path, *, keep: bool = False) -> None:
        self._directory = directory.absolute()
        self._keep = keep
        self._run = Path()
        self._child: Child | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """``unix:///tmp/…``, as DOCKER_HOST wants it. It outlasts ``kill`` and ``restart``."""
        return f"unix://{self._run}/docker.sock"

    @property
    def log(self) -> Path:
        """The log of dockerd and its containerd."""
        return self._directory / "dockerd.log"

    @property
    def pid(self) -> int:
        """The process id of dockerd, as last started."""
        if self._child is None:
            raise PartUnavailable("the private Docker Engine was not started")
        return self._child.pid

    def start(self) -> None:
        """Start it and return when it answers. Raises ``PartUnavailable``."""
        self._check_machine()
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._run = Path(tempfile.mkdtemp(prefix="enclave-engine-", dir="/tmp"))
        self._watcher = self._start_watcher()
        try:
            self._write_configuration()
            write_renaming_iptables(self._run)
            self._serve()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove containers and networks (unless kept), end it, sweep up. Twice is fine."""
        if self._child is not None and self._child.running:
            if self._keep:
                self._child.stop(seconds=20)
            else:
                with suppress(DockerException, requests.RequestException):
                    self._remove_everything()
                self._child.kill()
        if self._watcher is not None:
            sweep(self._run, self._directory, keep=self._keep)
            self._watcher.communicate(DONE, timeout=10)
            self._watcher = None

    def kill(self) -> None:
        """SIGKILL dockerd. As in real life its containers run on."""
        if self._child is not None:
            self._child.kill()

    def restart(self, *, seconds: float = _READY_SECONDS) -> None:
        """Start dockerd again on the same socket and data; one that still runs is stopped first.

        It answers within ``seconds``: not before it has looked at each of its containers.
        """
        if self._child is not None:
            self._child.stop(seconds=30)
        self._serve(seconds)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Within the block it accepts connections and answers nothing; its containers run on."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def answers(self) -> bool:
        """Tell whether it answers a ping now."""
        try:
            with self.client(timeout=_ANSWER_SECONDS) as client:
                return client.ping()
        except (DockerException, requests.RequestException):
            return False

    def client(self, *, timeout: int = 60) -> docker.APIClient:
        """Return a low-level client of the SDK, to be closed by the caller."""
        return docker.APIClient(base_url=self.url, version=API_VERSION, timeout=timeout)

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

    def _check_machine(self) -> None:
        for name, package in (
            ("dockerd", "docker.io"),
            ("containerd", "docker.io"),
            ("iptables", "iptables"),
            ("ip", "iproute2"),
        ):
            program(name, package=package)
        if os.geteuid() != 0:
            raise PartUnavailable(
                "a private Docker Engine needs root: run this as root, "
                "or let DOCKER_HOST name an Engine that you may use"
            )

    def _write_configuration(self) -> None:
        """Write dockerd's configuration.

        In a file of our own, not as options: the machine's /etc/docker/daemon.json must not count,
        and an option that stands in both is an error.
        """
        configuration = {
            "hosts": [self.url],
            "data-root": str(self._directory / "root"),
            "exec-root": str(self._run / "exec"),
            "pidfile": str(self._run / "dockerd.pid"),
            "bridge": "none",
            "cgroup-parent": f"/{self._run.name}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "shutdown-timeout": 5,
            "userland-proxy": False,
            "ip6tables": False,
        }
        (self._run / "daemon.json").write_text(json.dumps(configuration, indent=2))

    def _serve(self, seconds: float = _READY_SECONDS) -> None:
        dockerd = program("dockerd", package="docker.io")
        # After a kill containerd is dead as well, but dockerd takes one that init has not reaped
        # yet for a living one, and waits for it in vain.
        (self._run / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        path = f"{self._run}/bin:{os.environ['PATH']}:{SYSTEM_PATH}"
        self._child = Child(
            [dockerd, "--config-file", str(self._run / "daemon.json")],
            log=self.log,
            environment={**os.environ, "PATH": path},
            dies_with_parent=False,  # the watcher sees to that, and removes the rest as well
        )
        self._child.wait_ready(self.answers, seconds=seconds)

    def _start_watcher(self) -> subprocess.Popen[bytes]:
        keep = ["keep"] if self._keep else []
        return subprocess.Popen(
            [sys.executable, "-m", "testbed.sweep", str(self._run), str(self._directory), *keep],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _remove_everything(self) -> None:
        with self.client() as client, ThreadPoolExecutor(8) as pool:

            def remove(container: dict[str, str]) -> None:
                with suppress(APIError):  # the sweep takes what will not go
                    client.remove_container(container["Id"], force=True, v=True)

            list(pool.map(remove, client.containers(all=True)))
            for network in client.networks():
                if network["Name"] not in _PREDEFINED_NETWORKS:
                    client.remove_network(network["Id"])
