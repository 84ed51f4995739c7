"""Our side: receivers, their private Redis and a housekeeper, in a directory of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx

from admin.command import main as enclave_command
from bench.pushing.listening import listens_on
from bench.pushing.private_redis import start_redis
from bench.pushing.servers import BRANCH, Target, Transport
from enclave.people import Role, User
from enclave.settings import Settings
from enclave.store import open_store
from enclave.tokens import issue_token
from receiver.repository import ensure_repository
from testbed.processes import Child, free_port

_READY_SECONDS = 30
_TOKEN_SECONDS = 3600
_EMAIL = "bench@example.com"
_GUEST = "guest@example.com"
_ENVIRONMENT = "bench"


class OurServer:
    """One user with a key and a token; each target is an app of theirs.

    ``receivers`` processes share the two ports. The housekeeper runs beside them where this version
    of Enclave has one.
    """

    name = "Enclave"

    def __init__(self, directory: Path, *, public_key: str, receivers: int = 1) -> None:
        self._directory = directory
        directory.mkdir()
        self._settings = Settings(
            data=directory, redis_url="", http_port=free_port(), ssh_port=free_port()
        )
        self._others: list[Child] = []
        self._receivers: list[Child] = []
        self._number_of_receivers = receivers
        try:
            self._others.append(start_redis(directory, self._settings.redis_socket))
            self._start_receivers()
            if "housekeeper" in enclave_command.commands:
                self._others.append(self._start("housekeeper"))
        except BaseException:
            self.close()
            raise
        self._store = open_store(self._settings)
        self._environment = self._store.apps.create_environment(_ENVIRONMENT)
        self._user = self._create_user(_EMAIL)
        self._store.people.add_key(self._user, public_key)
        self._token = self._new_token(self._user)
        self._apps: dict[str, int] = {}
        self._guests: list[User] = []

    @property
    def pids(self) -> Sequence[int]:
        """The receivers: Redis and the housekeeper are not counted."""
        return [receiver.pid for receiver in self._receivers]

    def new_target(self, name: str) -> Target:
        """Create an app."""
        app = self._store.apps.create(self._environment, name)
        self._apps[name] = app.id
        urls = {
            Transport.SSH: f"ssh://git@127.0.0.1:{self._settings.ssh_port}/{app.name}.git",
            Transport.HTTP: self._http_url(app.name, self._token),
        }
        return Target(name, urls, self._settings.repositories / f"{app.id}.git")

    def make_repository(self, target: Target) -> None:
        """Make the repository, which the first push to an app does otherwise."""
        ensure_repository(target.repository)

    def url_for_guest(self, target: Target) -> str:
        """Return the HTTP URL by which somebody else pushes there, a new user at each call."""
        guest = self._create_user(f"{len(self._guests)}.{_GUEST}")
        self._guests.append(guest)
        return target.urls[Transport.HTTP].replace(self._token, self._new_token(guest))

    def tip(self, target: Target, branch: str = BRANCH) -> str:
        """Ask the store."""
        return self._store.pushes.refs(self._apps[target.name]).get(branch, "")

    def restart(self) -> None:
        """Restart the receivers; Redis goes on."""
        self._stop_receivers()
        self._start_receivers()

    def close(self) -> None:
        """End all processes, Redis last."""
        self._stop_receivers()
        for child in reversed(self._others):
            child.stop()

    def _create_user(self, email: str) -> User:
        user = self._store.people.create_user(email, os.urandom(16).hex())
        self._store.people.set_role(user, self._environment.id, Role.DEPLOY)
        return user

    def _new_token(self, user: User) -> str:
        return issue_token(
            self._store, user, url=self._settings.url, seconds=_TOKEN_SECONDS, scope="manage"
        ).access_token

    def _http_url(self, app: str, token: str) -> str:
        return f"http://bench:{token}@127.0.0.1:{self._settings.http_port}/{app}.git"

    def _start_receivers(self) -> None:
        ports = self._settings.http_port, self._settings.ssh_port
        for _ in range(self._number_of_receivers):
            receiver = self._start("receiver")
            self._receivers.append(receiver)
            # By its sockets: a request would be answered by any of those that share the port.
            listens = partial(listens_on, receiver.pid, ports)
            receiver.wait_ready(listens, seconds=_READY_SECONDS)
            receiver.wait_ready(self._answers, seconds=_READY_SECONDS)

    def _stop_receivers(self) -> None:
        while self._receivers:
            self._receivers.pop().stop()

    def _start(self, command: str) -> Child:
        return Child(
            [sys.executable, "-m", "admin", command],
            log=self._directory / f"{command}.log",
            environment={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "ENCLAVE_DATA": str(self._settings.data),
                "ENCLAVE_HTTP_PORT": str(self._settings.http_port),
                "ENCLAVE_SSH_PORT": str(self._settings.ssh_port),
            },
        )

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self._settings.http_port}/healthz"
        try:
            return httpx.get(url, timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False
