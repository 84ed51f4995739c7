"""The line between receivers and attendants: one key that both know, and what is asked on it.

An attendant dials a receiver and is then the SSH server of the two: a terminal, a window's size, an
exit status and a slow reader are what SSH has words for. Either is who it says by the same key,
which is derived from the installation's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from enclave.codec import decode, encode
from enclave.errors import InvalidInput
from enclave.sealing import Sealer


def line_key(sealer: Sealer) -> bytes:
    """Return the private key of both ends, an Ed25519 one in OpenSSH's format."""
    key = Ed25519PrivateKey.from_private_bytes(sealer.derive("attendants"))
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


@dataclass(frozen=True, slots=True)
class FollowContainers:
    """Tell what the app's containers print, a JSON object a line.

    ``last``: so many lines of those that run already; ``after``: only what is behind the position,
    of all (``enclave.log_position``). ``follower``: its name among the followers of the app.
    """

    app_id: int
    last: int = 20
    after: str = ""
    follower: str = ""


@dataclass(frozen=True, slots=True)
class Execute:
    """Run the command of an execute in a container of its own; the session is its terminal."""

    operation_id: int


Request = FollowContainers | Execute
_KINDS: dict[str, type[FollowContainers] | type[Execute]] = {
    "containers": FollowContainers,
    "execute": Execute,
}


def write_request(request: Request) -> str:
    """Return the request as the command of an SSH session."""
    kind = next(word for word, kind in _KINDS.items() if isinstance(request, kind))
    return f"{kind} {encode(request)}"


def read_request(command: str) -> Request:
    """Return what a command asks for; raises ``InvalidInput``, also for an older end's words."""
    word, _, text = command.partition(" ")
    try:
        return decode(_KINDS[word], text)
    except (KeyError, ValidationError) as error:
        raise InvalidInput(
            "receiver and attendant do not understand each other: are they of one version?"
        ) from error
