"""The host keys of a receiver's SSH servers, made on first use and kept."""

from __future__ import annotations

from pathlib import Path

import asyncssh

from enclave.files import create_private

_RSA = "ssh-rsa"


def host_keys(data: Path) -> list[asyncssh.SSHKey]:
    """Return this server's host keys, made on first use and kept: Ed25519, RSA for old clients."""
    ed25519, rsa = data / "host.ssh-ed25519", data / "host.ssh-rsa"
    if not ed25519.exists():
        create_private(ed25519, asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    if not rsa.exists():
        key = asyncssh.generate_private_key("ssh-rsa", key_size=3072)
        create_private(rsa, key.export_private_key())
    return [asyncssh.read_private_key(str(path)) for path in (ed25519, rsa)]


def rsa_only(keys: list[asyncssh.SSHKey]) -> list[asyncssh.SSHKey]:
    """Return the RSA key alone: the one that the toolbelt's known-hosts line has (API.md)."""
    return [key for key in keys if key.get_algorithm() == _RSA]


def rsa_line(keys: list[asyncssh.SSHKey]) -> str:
    """Return the public RSA key as ``ssh-rsa AAAA…``, without host or comment."""
    (key,) = rsa_only(keys)
    return " ".join(key.export_public_key().decode("ascii").split()[:2])
