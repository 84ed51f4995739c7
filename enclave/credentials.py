"""Registry credentials: one user name and one password, for one registry only."""

from __future__ import annotations

from dataclasses import dataclass, field

_IDENTITY_TOKEN = "<token>"  # noqa: S105 -- a user name that says what the password is


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What a private registry asks for (SPEC 3.2). The password never shows in a repr.

    ``domain`` is the registry that the credentials came for (``ImageReference.domain``): they are
    sent to no other.
    """

    domain: str
    username: str
    password: str = field(repr=False)

    @property
    def is_identity_token(self) -> bool:
        """Whether the password is a token that the registry gives access tokens for.

        Docker's credential helpers say so by this user name
        (https://github.com/docker/docker-credential-helpers, README).
        """
        return self.username == _IDENTITY_TOKEN
