"""The log portal: ``ssh`` with a certificate for one operation, which the API gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from toolbelt.errors import ToolbeltError
from toolbelt.hal import Body, create_in, link

if TYPE_CHECKING:
    from toolbelt.server import Server

_KEYGEN_SECONDS = 60


def visit(server: Server, operation: Body, *, options: Sequence[str]) -> int:
    """Connect ``ssh``, with these options, to what the operation runs; return its exit status.

    Raises ``ToolbeltError`` when this machine has no ssh, or the server gives no certificate.
    """
    with _certified(server, operation) as command:
        return subprocess.run([*command, *options], check=False).returncode


@contextmanager
def _certified(server: Server, operation: Body) -> Iterator[list[str]]:
    """Lend an ssh command for the operation; what it needs lies in a folder that goes with it."""
    ssh = _program("ssh")
    with tempfile.TemporaryDirectory(prefix="aptible-") as folder:
        key = Path(folder) / "id_ed25519"
        _make_key(key)
        public = key.with_suffix(".pub").read_text("ascii")
        asked = {"ssh_public_key": public}
        connection = create_in(server, operation, "ssh_portal_connections", asked)
        key.with_name("id_ed25519-cert.pub").write_text(connection["ssh_certificate_body"] + "\n")
        stack = server.get(link(server.get(link(operation, "account")), "stack"))
        host, port = stack["ssh_portal_host"], stack["ssh_portal_port"]
        known = key.with_name("known_hosts")
        known.write_text(f"[{host}]:{port} {stack['ssh_host_rsa_public_key']}\n")
        yield [
            *(ssh, f"{connection['ssh_user']}@{host}", "-p", str(port), "-i", str(key)),
            *("-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
            *("-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "ControlMaster=no"),
            *("-o", "ControlPath=none", "-o", "ServerAliveInterval=60", "-o", "LogLevel=ERROR"),
            *(() if connection["ssh_pty"] else ("-T",)),
        ]


def _make_key(path: Path) -> None:
    command = [_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_KEYGEN_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        raise ToolbeltError(f"ssh-keygen made no key: {error}") from error


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ToolbeltError(f"There is no {name} here: install OpenSSH's client")
    return found


def is_terminal() -> bool:
    """Whether somebody sits at a terminal, and sees what comes."""
    return os.isatty(0) and os.isatty(1)
