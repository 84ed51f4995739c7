"""Our side: ``enclave receiver`` and its private Redis, in a directory of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from bench.pushing.servers import BRANCH, Target, Transport
from enclave.people import Role
from enclave.settings import Settings
from enclave.store import open_store
from enclave.tokens import issue_token
from testbed.processes import Child, free_port

_READY_SECONDS = 30
_TOKEN_SECONDS = 3600
_EMAIL = "bench@example.com"
_ENVIRONMENT = "bench"


class OurServer:
    """One user with a key and a token; each target is an app of theirs."""

    name = "Enclave"

    def __init__(self, directory: Path, *, public_key: str) -> None:
        self._directory = directory
        directory.mkdir()
        self._settings = Settings(
            data=directory, redis_url="", http_port=free_port(), ssh_port=free_port()
        )
        self._redis = self._start_redis()
        self._receiver = self._start_receiver()
        self._store = open_store(self._settings)
        user = self._store.people.create_user(_EMAIL, os.urandom(16).hex())
        self._store.people.add_key(user, public_key)
        self._environment = self._store.apps.create_environment(_ENVIRONMENT)
        self._store.people.set_role(user, self._environment.id, Role.DEPLOY)
        self._token = issue_token(
            self._store, user, url=self._settings.url, seconds=_TOKEN_SECONDS, scope="manage"
        ).access_token
        self._apps: dict[str, int] = {}

    @property
    def pids(self) -> Sequence[int]:
        """The receiver: Redis is not counted."""
        return [self._receiver.pid]

    def new_target(self, name: str) -> Target:
        """Create an app."""
        app = self._store.apps.create(self._environment, name)
        self._apps[name] = app.id
        http, ssh = self._settings.http_port, self._settings.ssh_port
        urls = {
            Transport.SSH: f"ssh://git@127.0.0.1:{ssh}/{app.name}.git",
            Transport.HTTP: f"http://bench:{self._token}@127.0.0.1:{http}/{app.name}.git",
        }
        return Target(name, urls, self._settings.repositories / f"{app.id}.git")

    def tip(self, target: Target) -> str:
        """Ask the store."""
        return self._store.pushes.refs(self._apps[target.name]).get(BRANCH, "")

    def restart(self) -> None:
        """Restart the receiver; Redis goes on."""
        self._receiver.stop()
        self._receiver = self._start_receiver()

    def close(self) -> None:
        """End both processes."""
        self._receiver.stop()
        self._redis.stop()

    def _start_redis(self) -> Child:
        folder = self._directory / "redis"
        folder.mkdir()
        socket = str(self._settings.redis_socket)
        redis = Child(
            [
                *("redis-server", "--port", "0", "--unixsocket", socket, "--dir", str(folder)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            ],
            log=self._directory / "redis.log",
        )
        ping = ["redis-cli", "-s", socket, "ping"]

        def answers() -> bool:
            answer = subprocess.run(ping, capture_output=True, check=False, timeout=_READY_SECONDS)
            return answer.stdout == b"PONG\n"

        redis.wait_ready(answers, seconds=_READY_SECONDS)
        return redis

    def _start_receiver(self) -> Child:
        receiver = Child(
            [sys.executable, "-m", "admin", "receiver"],
            log=self._directory / "receiver.log",
            environment={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "ENCLAVE_DATA": str(self._settings.data),
                "ENCLAVE_HTTP_PORT": str(self._settings.http_port),
                "ENCLAVE_SSH_PORT": str(self._settings.ssh_port),
            },
        )
        receiver.wait_ready(self._answers, seconds=_READY_SECONDS)
        return receiver

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self._settings.http_port}/healthz"
        try:
            return httpx.get(url, timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False
