"""Registry credentials: one user name and one password, for one registry only."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What a private registry asks for (SPEC 3.2). The password never shows in a repr.

    ``domain`` is the registry that the credentials came for (``ImageReference.domain``): they are
    sent to no other.
    """

    domain: str
    username: str
    password: str = field(repr=False)
