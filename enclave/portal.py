"""The log portal: certificates that open one operation to one person for a short time.

A client asks the API for one and shows it to the portal, which is an SSH server (API.md, Log
portal). The certificate's principal is the user name of the connection and says which operation it
is for, and with which token it was asked for. The authority's key is derived from the
installation's own, so that every receiver of it issues and takes the same certificates.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_key,
)

from enclave.errors import InvalidInput, NotFound
from enclave.sealing import Sealer

CERTIFICATE_SECONDS = 300
"""From its issue until a connection must have begun; one that has begun goes on."""

_SLACK_SECONDS = 60  # receivers' clocks may differ
_LEAST_RSA_BITS = 2048
_LONGEST_KEY = 16 << 10  # characters
_USERNAME = re.compile(r"operation-([0-9]{1,18})-token-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Visit:
    """What somebody wants to see; who it is, their token tells for as long as it counts."""

    operation_id: int
    token_id: str

    @property
    def username(self) -> str:
        """The name to log in with; ``read`` reads it."""
        return f"operation-{self.operation_id}-token-{self.token_id}"

    @classmethod
    def read(cls, username: str) -> Visit:
        """Return whose and what for a name is; raises ``NotFound`` for any other name."""
        if not (found := _USERNAME.fullmatch(username)):
            raise NotFound("there is nothing of that name")
        return cls(int(found[1]), found[2])


def authority_key(sealer: Sealer) -> str:
    """Return the authority's public key, as a line of OpenSSH."""
    public = _authority(sealer).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def certify(sealer: Sealer, public_key: str, visit: Visit) -> str:
    """Return an OpenSSH certificate of the key for the visit, for ``CERTIFICATE_SECONDS`` from now.

    ``public_key`` is one line of a ``.pub`` file. Raises ``InvalidInput``.
    """
    try:
        key = load_ssh_public_key(public_key[:_LONGEST_KEY].strip().encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(
            "ssh_public_key is no public key that OpenSSH takes: send one line of a .pub file"
        ) from error
    if isinstance(key, DSAPublicKey):
        raise InvalidInput("DSA keys are not taken any more: make one with ssh-keygen -t ed25519")
    if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        raise InvalidInput(f"an RSA key needs at least {_LEAST_RSA_BITS} bits: make another one")
    now = int(time.time())
    builder = (
        SSHCertificateBuilder()
        .public_key(key)
        .type(SSHCertificateType.USER)
        .key_id(visit.username.encode())
        .valid_principals([visit.username.encode()])
        .valid_after(now - _SLACK_SECONDS)
        .valid_before(now + CERTIFICATE_SECONDS)
        .add_extension(b"permit-pty", b"")
    )
    return builder.sign(_authority(sealer)).public_bytes().decode("ascii")


def _authority(sealer: Sealer) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sealer.derive("log-portal"))
