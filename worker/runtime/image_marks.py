"""Tags of ours on images that an installation pulled: the Engine itself knows whose they are.

An Engine keeps an image for as long as it has a name, and never says who gave it one. So each image
that was not there before a pull of ours gets a name more, the mark, made of the installation and
the pinned reference. What has no mark is somebody else's. A mark outlasts the store, and two
installations on one Engine do not take each other's images away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from enclave.errors import InvalidImageReference
from enclave.image import ImageReference

_PREFIX = "enclave-"
_ANYONES = re.compile(rf"{_PREFIX}[a-z0-9]+:(?P<hash>[0-9a-f]{{32}})")


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one installation, ``owner`` (lower-case letters and digits)."""

    owner: str

    @property
    def repository(self) -> str:
        """What stands before the colon of each mark."""
        return f"{_PREFIX}{self.owner}"

    def mark(self, pinned: str) -> str:
        """Return the mark of ``repository@digest``; a mark of ours is its own."""
        return pinned if self.is_ours(pinned) else f"{self.repository}:{_hash(pinned)}"

    def is_ours(self, tag: str) -> bool:
        """Tell a mark of this installation from every other tag."""
        return bool(_ANYONES.fullmatch(tag)) and tag.startswith(f"{self.repository}:")

    def held(self, tags: Iterable[str], digests: Iterable[str]) -> list[str]:
        """Return for what an image with these names bears our marks.

        That is each pinned reference, or the mark itself where a removal was cut short after the
        reference had gone.
        """
        ours = {tag for tag in tags if self.is_ours(tag)}
        pinned = {self.mark(each): each for each in map(_canonical, digests)}
        return sorted(pinned.get(tag, tag) for tag in ours)


def marked_by_anyone(tags: Iterable[str], pinned: str) -> bool:
    """Tell whether some installation of Enclave pulled the image under that reference."""
    wanted = _hash(pinned)
    return any(found["hash"] == wanted for found in map(_ANYONES.fullmatch, tags) if found)


def _hash(pinned: str) -> str:
    return sha256(_canonical(pinned).encode()).hexdigest()[:32]


def _canonical(pinned: str) -> str:
    """Return the long form: the Engine shows ``nginx@…`` for ``docker.io/library/nginx@…``."""
    try:
        return str(ImageReference.parse(pinned))
    except InvalidImageReference:  # an image's id
        return pinned
