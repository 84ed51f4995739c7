"""HAProxy's runtime API, through the socket of its master process.

The master passes ``@!PID COMMAND`` on to any of its workers: the current one, and older ones that
still serve the connections they had before a reload (HAProxy 2.6, management guide, 9.4).
"""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from enclave.errors import InvalidRoute, RouterRefused, RouterUnavailable
from enclave.route import Target
from router.backends import Server, State

_ANSWER_SECONDS = 10.0
_RELOAD_SECONDS = 60.0  # a thousand endpoints take one
_PAUSE = 0.02
_MAP = re.compile(r"(?P<id>\d+) \((?:.*/)?(?P<file>[^/]*)\) ")
_MAINTENANCE = 0x01 | 0x02 | 0x20
_DRAINING = 0x08 | 0x10
"""Bits of ``srv_admin_state``: ``show servers state`` in the management guide."""


@dataclass(frozen=True, slots=True)
class Process:
    """A worker process of HAProxy. One that is not ``current`` takes no new connections."""

    pid: int
    current: bool


class HAProxy:
    """One HAProxy in master-worker mode. Every method raises ``RouterUnavailable``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def processes(self) -> list[Process]:
        """Return its worker processes, the current one first."""
        return self._look()[0]

    def current(self) -> Process:
        """Return the process that takes new connections."""
        for process in self.processes():
            if process.current:
                return process
        raise RouterUnavailable("HAProxy has no worker process")

    def description(self, process: Process) -> str:
        """Return what the process's configuration calls itself (``description``)."""
        for line in self._ask(process, "show info").splitlines():
            name, _, value = line.partition(": ")
            if name == "description":
                return value
        return ""

    def servers(self, process: Process, backend: str = "") -> dict[str, list[Server]]:
        """Return the slots of one backend, or of all; nothing when there is no such backend."""
        answer = self._ask(process, f"show servers state {backend}".rstrip())
        found: dict[str, list[Server]] = {}
        for line in answer.splitlines():
            words = line.split()
            if len(words) > 18 and words[0].isdecimal():
                server = Server(words[3], _target(words[4], words[18]), _state(int(words[6])))
                found.setdefault(words[1], []).append(server)
        return found

    def busy(self, process: Process, backend: str) -> dict[str, int]:
        """Return how many requests each slot of a backend serves now, or holds in its queue."""
        answer = self._ask(process, f"show stat {backend} 4 -1")
        rows = csv.DictReader(answer.lstrip("# ").splitlines())
        return {
            row["svname"]: int(row["scur"] or 0) + int(row["qcur"] or 0)
            for row in rows
            if row.get("scur") is not None
        }

    def fill(self, process: Process, backend: str, slot: str, target: Target) -> None:
        """Put a target in a slot and send it requests."""
        server = f"{backend}/{slot}"
        self._tell(
            process,
            [
                f"set server {server} addr {target.address} port {target.port}",
                f"set server {server} state ready",
            ],
        )

    def set_state(self, process: Process, backend: str, slots: Sequence[str], state: State) -> None:
        """Set the state of some slots of one backend."""
        if slots:
            words = [f"set server {backend}/{slot} state {state.value}" for slot in slots]
            self._tell(process, words)

    def cut(self, process: Process, backend: str, slot: str) -> None:
        """End every request that the slot serves."""
        self._tell(process, [f"shutdown sessions server {backend}/{slot}"])

    def keep_in_map(self, process: Process, name: str, keys: Set[str]) -> None:
        """Take all other keys out of the map whose file is ``NAME-….map``."""
        for line in self._ask(process, "show map").splitlines():
            known = _MAP.match(line)
            if known is None or not known["file"].startswith(f"{name}-"):
                continue
            rows = self._ask(process, f"show map #{known['id']}").splitlines()
            held = [row.split()[1] for row in rows if row]
            gone = [key for key in held if key not in keys]
            self._tell(process, [f"del map #{known['id']} {key}" for key in gone])

    def reload(self, description: str) -> None:
        """Have a new worker process read the configuration; return when it has taken over.

        No connection is refused meanwhile: the listening sockets are passed on. When it cannot read
        it, the old process goes on, and this raises ``RouterRefused``.
        """
        _, failures = self._look()
        with suppress(RouterUnavailable):  # it may become a new program before it has answered
            self._exchange("reload")
        deadline = time.monotonic() + _RELOAD_SECONDS
        while time.monotonic() < deadline:
            with suppress(RouterUnavailable):  # between the two programs nobody listens
                processes, failed = self._look()
                if failed > failures:
                    break
                if processes and self.description(processes[0]) == description:
                    return
            time.sleep(_PAUSE)
        raise RouterRefused("HAProxy did not take its new configuration: its log says why")

    def _look(self) -> tuple[list[Process], int]:
        """Return the worker processes, and how many reloads in a row have failed."""
        processes, failures, current = [], 0, True
        for line in self._exchange("show proc").splitlines():
            words = line.split()
            if line.startswith("# old workers"):
                current = False
            elif len(words) > 1 and words[1] == "master":
                failures = int(line.partition("[failed: ")[2].partition("]")[0] or 0)
            elif len(words) > 1 and words[1] == "worker":
                processes.append(Process(int(words[0]), current))
        return processes, failures

    def _tell(self, process: Process, commands: Sequence[str]) -> None:
        """Give commands that answer nothing, or with a notice of what changed."""
        for command in commands:
            answer = self._ask(process, command).strip()
            if answer and "by 'stats socket command'" not in answer:
                raise RouterUnavailable(f"HAProxy answered {answer!r} to {command!r}")

    def _ask(self, process: Process, command: str) -> str:
        answer = self._exchange(f"@!{process.pid} {command}")
        if answer.startswith("Can't find the target PID"):
            raise RouterUnavailable(f"HAProxy's process {process.pid} is gone")
        return answer

    def _exchange(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX) as master:
                master.settimeout(_ANSWER_SECONDS)
                master.connect(str(self._path))
                master.sendall(f"{command}\nquit\n".encode())
                answer = bytearray()
                while part := master.recv(1 << 16):
                    answer += part
        except OSError as error:
            raise RouterUnavailable(f"HAProxy does not answer on {self._path}: {error}") from error
        return answer.decode("utf-8", "replace")


def _target(address: str, port: str) -> Target | None:
    try:
        return Target(address, int(port))
    except (InvalidRoute, ValueError):
        return None


def _state(admin: int) -> State:
    if admin & _MAINTENANCE:
        return State.MAINT
    return State.DRAIN if admin & _DRAINING else State.READY
