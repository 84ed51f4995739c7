"""A push as the bytes of its two HTTP requests, for clients lighter, or stranger, than git."""

from __future__ import annotations

import base64
import socket
import subprocess
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.pushing.repositories import Load
from bench.pushing.servers import BRANCH

Address = tuple[str, int]
_SECONDS = 60
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class RawPush:
    """``commands`` and ``pack`` are the body of the second request, which begins with ``head``."""

    address: Address
    advertisement: bytes
    head: bytes
    commands: bytes
    pack: bytes

    def send(self) -> None:
        """Do it, a connection a request. Raises ``RuntimeError`` unless the server says ok."""
        self._ask(self.advertisement)
        answer = self._ask(self.head + self.commands + self.pack)
        if b"unpack ok" not in answer or b"ok refs/" not in answer:
            raise RuntimeError(f"a push was refused: {answer!r}")

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(self.address, timeout=_SECONDS) as connection:
            connection.sendall(request)
            pieces = []
            while piece := connection.recv(_CHUNK):
                pieces.append(piece)
        answer = b"".join(pieces)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"a request was refused: {answer!r}")
        return answer


def raw_push(
    load: Load, commit: str, url: str, branch: str = BRANCH, *, agent: str = "bench"
) -> RawPush:
    """Prepare the push that creates ``branch``, with all that the commit needs."""
    pack = subprocess.run(
        ["git", f"--git-dir={load.path}", "pack-objects", "--revs", "--stdout", "-q"],
        input=f"{commit}\n".encode(),
        capture_output=True,
        check=True,
        timeout=_SECONDS,
    ).stdout
    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    common = (
        f"Host: {host}\r\n"
        f"Authorization: Basic {base64.b64encode(userinfo.encode()).decode()}\r\n"
        "Connection: close\r\n"
    )
    command = f"{'0' * 40} {commit} {branch}\0 report-status agent={agent}\n".encode()
    commands = b"%04x%s0000" % (len(command) + 4, command)
    advertisement = f"GET {parts.path}/info/refs?service=git-receive-pack HTTP/1.1\r\n{common}\r\n"
    head = (
        f"POST {parts.path}/git-receive-pack HTTP/1.1\r\n{common}"
        "Content-Type: application/x-git-receive-pack-request\r\n"
        f"Content-Length: {len(commands) + len(pack)}\r\n\r\n"
    )
    assert parts.hostname is not None and parts.port is not None
    address = parts.hostname, parts.port
    return RawPush(address, advertisement.encode(), head.encode(), commands, pack)
