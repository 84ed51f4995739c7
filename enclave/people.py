"""Users, their SSH keys, and the roles they have in environments."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum

from enclave.errors import InvalidInput

_NAME_CHARACTERS = 100


class Role(StrEnum):
    """What a member may do in an environment; each includes the one before."""

    READ = "read"
    DEPLOY = "deploy"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


NOBODY = 0
"""No user has this number."""


@dataclass(frozen=True, slots=True)
class User:
    """A person (or a robot) with a password and keys.

    ``generation`` counts the changes of the password: a token made in an earlier one is no more.
    """

    id: int
    email: str
    created_at: str
    generation: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SSHKey:
    """A public key of a user, or of an environment: then ``user_id`` is ``NOBODY``.

    ``fingerprint`` is ``SHA256:…`` as ``ssh-keygen -l`` prints it.
    """

    id: int
    user_id: int
    name: str
    public_key: str
    fingerprint: str
    environment_id: int | None = None

    @property
    def words(self) -> str:
        """Name and fingerprint, as the activity tells of it."""
        return f"{self.name} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Environment:
    """A group of apps and of the people who may touch them (API: account)."""

    id: int
    handle: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody's role in an environment: by email, whether they are a user yet or not."""

    id: int
    environment_id: int
    email: str
    role: Role
    created_at: str


def checked_email(text: str) -> str:
    """Return an email address in the one form that is stored; raises ``InvalidInput``."""
    email = text.strip().lower()
    if "@" not in email or any(c.isspace() or not c.isprintable() for c in email):
        raise InvalidInput(f"{email!r} is not an email address")
    return email


def read_key(
    line: str, *, number: int, name: str, user_id: int = NOBODY, environment_id: int | None = None
) -> SSHKey:
    """Return the key of an OpenSSH public-key line, called by its comment unless it has a name.

    Of a name, which others read in their terminals, only printable characters are kept. Raises
    ``InvalidInput`` for anything that is not such a line.
    """
    words = line.split()
    return SSHKey(
        id=number,
        user_id=user_id,
        name=_printable(name) or _printable(" ".join(words[2:3])) or "key",
        public_key=" ".join(words[:2]),
        fingerprint=fingerprint(line),
        environment_id=environment_id,
    )


def _printable(name: str) -> str:
    return "".join(c for c in name if c.isprintable()).strip()[:_NAME_CHARACTERS]


def fingerprint(public_key: str) -> str:
    """Return the SHA256 fingerprint of an OpenSSH public-key line, as ``ssh-keygen -l`` does.

    Raises ``InvalidInput`` for anything that is not such a line.
    """
    parts = public_key.split()
    cure = "paste one line of a .pub file, as in: ssh-ed25519 AAAA… name"
    if len(parts) < 2:
        raise InvalidInput(f"this is not an OpenSSH public key: {cure}")
    try:
        blob = b64decode(parts[1], validate=True)
    except ValueError as error:  # what is no base64, and what is not even ASCII
        raise InvalidInput(f"the key's second word is not base64: {cure}") from error
    kind = blob[4 : 4 + int.from_bytes(blob[:4])]
    if kind != parts[0].encode():
        raise InvalidInput(f"the key's bytes are not of the type {parts[0]!r}: {cure}")
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
