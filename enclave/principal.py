"""Who asks: a user, as far as the token or key that they showed reaches."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from enclave.errors import InvalidInput
from enclave.people import Role, SSHKey, User

_SCOPE = re.compile(r"manage|read|app:[1-9][0-9]{0,14}", re.ASCII)
_APP = "app:"


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a token reaches: it narrows its user's role, and never widens it.

    ``most`` is the highest role it gives; ``app_id`` the one app that it is about, if it is about
    one. ``str(scope)`` is what clients send and see: ``manage``, ``read`` or ``app:41``. A deploy
    key has no user with a role: it gives ``most`` in ``environment_id``, and nothing elsewhere.
    """

    most: Role
    app_id: int | None = None
    environment_id: int | None = None

    def __str__(self) -> str:
        """Return the scope as clients write it."""
        if self.app_id is not None:
            return f"{_APP}{self.app_id}"
        return "read" if self.most is Role.READ else "manage"


MANAGE = Scope(Role.ADMIN)
"""Everything that the user may do."""

READ_ONLY = Scope(Role.READ)


def read_scope(text: str) -> Scope:
    """Return the scope that ``str`` writes; nothing at all is ``manage``. Raises ``InvalidInput``.

    ``app:N`` is for deploys by a machine: one app, the role ``deploy``.
    """
    text = text or "manage"
    if not _SCOPE.fullmatch(text):
        raise InvalidInput(
            f"The scope {text[:40]!r} is not known: it is manage (everything you may do), read (to "
            "look only), or app:N (to deploy the one app of that id)."
        )
    if text.startswith(_APP):
        return Scope(Role.DEPLOY, int(text.removeprefix(_APP)))
    return READ_ONLY if text == "read" else MANAGE


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, what they showed to prove it, and how far that reaches.

    ``proof`` is ``token ID (SCOPE)``, ``key SHA256:…`` or ``password``; ``token_id`` is for the
    first kind alone.
    """

    user: User
    proof: str
    scope: Scope = MANAGE
    token_id: str = field(default="", repr=False)


def deploy_key_principal(key: SSHKey) -> Principal:
    """Return who deploys with an environment's key: nobody in person, under the key's name."""
    nobody = User(-key.id, f"{key.name} (deploy key)", "")
    return Principal(nobody, f"key {key.fingerprint}", Scope(Role.DEPLOY, None, key.environment_id))
