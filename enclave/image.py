"""Image references: which image, from which registry, under which tag or digest.

The grammar and the defaults are those of ``docker run`` (SPEC 1), which takes both from
https://github.com/distribution/reference (``regexp.go``, ``normalize.go``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from enclave.errors import InvalidImageReference

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255
"""Characters in domain, ``/`` and path together: the Engine's limit (API 1.41)."""

_LEGACY_DEFAULT_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One image as a registry knows it; always with a tag, a digest, or both.

    Its parts are canonical: ``domain`` is never left out, official images of Docker Hub have
    ``library/`` in their ``path``. Whatever ``str(reference)`` or ``reference.familiar`` gives is
    parsed back to the same value. Where there is a digest, it alone says which image is meant.

    Raises :class:`InvalidImageReference` if the parts are not what parsing could have given.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the reference that ``docker run`` would understand ``text`` as.

        Fills in ``docker.io``, ``library/`` and, where neither tag nor digest is given,
        ``latest``; ``index.docker.io`` becomes ``docker.io``.

        Raises :class:`InvalidImageReference` with a sentence that says what to mend. It quotes
        the wrong part alone, never a user name or password in front of an ``@``.
        """
        _check_text(text)
        domain, rest = _split_domain(text)
        name, at, digest = rest.partition("@")
        path, colon, tag = name.partition(":")
        given_tag = tag if colon else None
        given_digest = digest if at else None
        if given_tag is None and given_digest is None:
            given_tag = DEFAULT_TAG
        return cls(domain, path, given_tag, given_digest)

    def __post_init__(self) -> None:
        # The digest first: if it is none, a password may stand before the @, and is not quoted.
        if self.digest is not None:
            _check_digest(self.digest)
        _check_name(self.domain, self.path)
        if self.tag is not None:
            _check_tag(self.tag)
        if self.tag is None and self.digest is None:
            raise InvalidImageReference("An image reference needs a tag or a digest.")

    def __str__(self) -> str:
        return self.repository + self._suffix

    @property
    def repository(self) -> str:
        """Where the image lives, without tag and digest: ``docker.io/library/nginx``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar(self) -> str:
        """The short form that Docker shows: ``nginx:1`` for ``docker.io/library/nginx:1``.

        Unlike Docker's own, it is left long where the short one would mean another image: in
        ``docker.io/example.com/app``, ``example.com`` is a path component and not a registry.
        """
        if self.domain != DEFAULT_DOMAIN:
            return str(self)
        official = self.path.removeprefix(_OFFICIAL)
        short = (self.path if "/" in official else official) + self._suffix
        means_the_same = _split_domain(short) == (self.domain, self.path + self._suffix)
        return short if means_the_same and not _is_image_id(short) else str(self)

    def pinned(self, digest: str) -> ImageReference:
        """Return the reference to exactly the image ``digest`` of this repository, with no tag.

        Raises :class:`InvalidImageReference` if ``digest`` is not ``sha256:`` and 64 lower-case
        hexadecimal digits (or ``sha384:`` and 96, ``sha512:`` and 128).
        """
        return ImageReference(self.domain, self.path, None, digest)

    @property
    def _suffix(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return tag if self.digest is None else f"{tag}@{self.digest}"


def _split_domain(text: str) -> tuple[str, str]:
    """Split off the registry, as ``splitDockerDomain`` in ``normalize.go`` does."""
    first, slash, rest = text.partition("/")
    if not slash or not _is_domain(first):
        domain, rest = DEFAULT_DOMAIN, text
    else:
        domain = DEFAULT_DOMAIN if first == _LEGACY_DEFAULT_DOMAIN else first
    if domain == DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return domain, rest


def _is_domain(first: str) -> bool:
    """Tell a registry from the first component of a path: repositories have no upper case."""
    return first == "localhost" or "." in first or ":" in first or first != first.lower()


def _is_image_id(text: str) -> bool:
    return bool(_IDENTIFIER.fullmatch(text) or _DIGEST.fullmatch(text))


def _check_text(text: str) -> None:
    """Refuse what is no reference as a whole, before it is taken apart."""
    if not text:
        raise InvalidImageReference("The image reference is empty. Give one like nginx:1.27.")
    if scheme := _SCHEME.match(text):
        raise InvalidImageReference(
            f"An image reference is not a URL: leave out {scheme[0]} and begin with the "
            "registry's host, as in registry.example.com/app:1.0."
        )
    if gap := _BLANK_OR_CONTROL.search(text):
        raise InvalidImageReference(
            f"The image reference has white space or a control character ({gap[0]!r}, character "
            f"{gap.start() + 1}). Give the reference alone, without spaces or line breaks."
        )
    if "/" in text.partition("@")[2]:
        raise InvalidImageReference(
            "After the @ of an image reference comes a digest, and nothing else. Give a user name "
            "and password with --private-registry-username and --private-registry-password."
        )
    if _is_image_id(text):
        raise InvalidImageReference(
            "This is an image ID or a digest alone, and no registry can be asked for it. Put the "
            "repository in front, as in nginx@sha256:…."
        )


def _check_name(domain: str, path: str) -> None:
    if not path or path == _OFFICIAL:
        raise InvalidImageReference(
            "The image reference has no repository name. Give one like nginx:1.27 or "
            "registry.example.com/app:1.0."
        )
    if len(domain) + 1 + len(path) > NAME_LIMIT:
        raise InvalidImageReference(
            f"The image's name is longer than {NAME_LIMIT} characters, registry and slashes "
            "included. Give the image a shorter one."
        )
    if not _DOMAIN.fullmatch(domain):
        raise InvalidImageReference(
            f"{_quoted(domain)} is not a registry host. Give a host name or an IP address (IPv6 in "
            "square brackets), with :PORT if need be, as in registry.example.com:5000."
        )
    for component in path.split("/"):
        _check_path_component(component)
    if _split_domain(f"{domain}/{path}") != (domain, path):
        raise InvalidImageReference(
            f"{_quoted(f'{domain}/{path}')} is not a canonical name. Let it be parsed."
        )


def _check_path_component(component: str) -> None:
    if _PATH_COMPONENT.fullmatch(component):
        return
    if not component:
        raise InvalidImageReference(
            "The repository name has a slash too many. Leave out a doubled or last one."
        )
    if _PATH_COMPONENT.fullmatch(component.lower()):
        raise InvalidImageReference(
            f"A repository name must be lower case: write {_quoted(component.lower())} for "
            f"{_quoted(component)}."
        )
    raise InvalidImageReference(
        f"{_quoted(component)} cannot be part of a repository name. Use lower-case letters and "
        "digits, and between them a '.', one or two '_', or any number of '-'."
    )


def _check_tag(tag: str) -> None:
    if not tag:
        raise InvalidImageReference(
            "No tag follows the colon. Name one, as in nginx:1.27, or leave out the colon."
        )
    if not _TAG.fullmatch(tag):
        raise InvalidImageReference(
            f"{_quoted(tag)} is not a tag. Use 1 to 128 letters, digits, '_', '.' and '-', the "
            "first one not '.' or '-'."
        )


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise InvalidImageReference(
            "What follows the @ of an image reference must be a digest: sha256: and 64 lower-case "
            "hexadecimal digits (or sha384: and 96, sha512: and 128)."
        )


def _quoted(part: str) -> str:
    """Return ``part`` for a sentence: on one line, and not at any length."""
    return repr(part if len(part) <= 80 else f"{part[:79]}…")
