"""What a registry's refusal means, and how to mend it.

The Engine (20.10) hands on what the registry's client said, under status codes that tell little: a
wrong password is 401 when asking for a digest and 500 when pulling. So the words are read. They
are quoted only when nothing here knows them, and then without the credentials: a registry may
echo what it was sent.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

from enclave.credentials import RegistryCredentials
from enclave.errors import CredentialsRefused, ImageUnavailable
from enclave.image import ImageReference
from worker.runtime.engine_connection import plain

_NEW_CREDENTIALS = "--private-registry-username and --private-registry-password"

# In front of the reason may stand the request or the reference, whose names could be any words.
_PREFIXES = re.compile(r'^(?:(?:Get|Head|Post) "[^"]*": |manifest for \S+ not found: )+')

# In this order: the first that matches says it.
_SENTENCES = (
    (
        re.compile(r"verification failed for digest"),
        "what {domain} delivered for {path} is not what its digest promises: it was damaged there, "
        "or on the way. Try again, or push the image again.",
    ),
    (
        re.compile(
            r"error parsing HTTP|error unmarshalling|missing signature key|unsupported manifest"
            r"|schema ?version|not implemented|unsupported: |invalid character",
            re.IGNORECASE,
        ),
        "what answers at {domain} does not speak the Docker Registry API, version 2, as the Engine "
        "needs it for {path}. Check the registry's host and port; push the image again with a "
        "current docker or buildah if it is very old.",
    ),
    (
        re.compile(r"toomanyrequests|rate limit", re.IGNORECASE),
        "{domain} allows no more pulls for now (rate limit). Try again later, or pull with the "
        "credentials of an account that may pull more (" + _NEW_CREDENTIALS + ").",
    ),
    (
        re.compile(r"no matching manifest"),
        "the image is not built for this machine. Push one for its platform to {path} at {domain}.",
    ),
    (
        re.compile(r"name unknown|repository name not known"),
        "{domain} has no repository {path}, or does not show it to {who}. Check its name.",
    ),
    (
        re.compile(r"manifest unknown|manifest invalid|not found"),
        "{domain} has no {what} in {path}, or no such repository at all. Check the names, or push "
        "the image first.",
    ),
    (
        re.compile(r"server gave HTTP response|does not look like a TLS handshake"),
        "{domain} speaks plain HTTP, and the Docker Engine insists on HTTPS. Give the registry a "
        "certificate, or list it under insecure-registries in the Engine's daemon.json.",
    ),
    (
        re.compile(r"HTTP request to an HTTPS server|malformed HTTP response"),
        "{domain} speaks HTTPS where the Docker Engine was told to use plain HTTP. Take it off "
        "insecure-registries in the Engine's daemon.json.",
    ),
    (
        re.compile(r"x509: |certificate"),
        "the Docker Engine does not trust the certificate of {domain}. Put the registry's CA into "
        "/etc/docker/certs.d/{domain}/ca.crt on the Engine's machine, and check the host name and "
        "the dates of the certificate.",
    ),
    (
        re.compile(r"no such host|server misbehaving"),
        "the Docker Engine finds no host of the name {domain}. Check the registry's name.",
    ),
    (
        re.compile(
            r"i/o timeout|Client\.Timeout|deadline exceeded|handshake timeout|awaiting headers"
        ),
        "{domain} did not answer in time for {path}. Try again, or check the registry.",
    ),
    (
        re.compile(r"connection (?:refused|reset)|no route to host|network is unreachable|\bEOF\b"),
        "the Docker Engine cannot reach {domain} for {path}. Check that the registry runs, its "
        "host and its port.",
    ),
    (
        re.compile(r"no space left on device"),
        "the Docker Engine's disk is full: {path} from {domain} does not fit. Make room first.",
    ),
)
_UNAUTHORIZED = re.compile(r"unauthorized|no basic auth credentials|incorrect username")
_DENIED = re.compile(r"denied|forbidden", re.IGNORECASE)
_HTTP_STATUS = re.compile(r"unexpected (?:HTTP )?status:? (?P<status>[45]\d\d[ \w]*)")


def image_unavailable(
    reference: ImageReference, words: str, credentials: RegistryCredentials | None
) -> ImageUnavailable:
    """Return the error for what the Engine said (``words``) about getting ``reference``."""
    kind = CredentialsRefused if credentials and _is_refusal(words) else ImageUnavailable
    return kind(f"Cannot pull {reference}: {_why(reference, words, credentials)}")


def no_answer(reference: ImageReference, seconds: float) -> ImageUnavailable:
    """Return the error for a registry (or an Engine before it) that kept silent."""
    return ImageUnavailable(
        f"Cannot pull {reference}: {reference.domain} gave no answer about {reference.path} within "
        f"{seconds:g} s. Try again, or check the registry."
    )


def secrets_of(credentials: RegistryCredentials | None) -> tuple[str, ...]:
    """Return every form in which the password could come back in somebody's words."""
    if credentials is None:
        return ()
    password, pair = credentials.password, f"{credentials.username}:{credentials.password}"
    encoded = [base64.b64encode(text.encode()).decode().rstrip("=") for text in (pair, password)]
    urlsafe = [text.translate(str.maketrans("+/", "-_")) for text in encoded]
    return (password, quote(password, safe=""), *encoded, *urlsafe)


def _why(reference: ImageReference, words: str, credentials: RegistryCredentials | None) -> str:
    words = _reason(words)
    names = {
        "domain": reference.domain,
        "path": reference.path,
        "what": f"image {reference.digest}" if reference.digest else f"tag {reference.tag}",
        "who": "this user" if credentials else "users without a password",
    }
    for pattern, sentence in _SENTENCES:
        if pattern.search(words):
            return sentence.format_map(names)
    if _is_refusal(words):
        return _no_access(words, credentials).format_map(names)
    if match := _HTTP_STATUS.search(words):
        return (
            f"{reference.domain} has trouble of its own ({match['status'].strip()}) with "
            f"{reference.path}. Try again later, or check the registry."
        )
    hidden = secrets_of(credentials)
    return f"{reference.domain}, asked for {reference.path}, says: {plain(words, hidden=hidden)}"


def _reason(words: str) -> str:
    return _PREFIXES.sub("", words)


def _is_refusal(words: str) -> bool:
    """Tell "not with these credentials" from what is wrong whoever asks."""
    reason = _reason(words)
    if any(pattern.search(reason) for pattern, _ in _SENTENCES):
        return False
    return bool(_UNAUTHORIZED.search(reason) or _DENIED.search(reason))


def _no_access(words: str, credentials: RegistryCredentials | None) -> str:
    if credentials is None:
        return (
            "{domain} wants a user name and password for {path}, or has no such repository. Give "
            f"them with {_NEW_CREDENTIALS}, or check the name."
        )
    if _DENIED.search(words):
        return (
            "{domain} has no repository {path}, or its user " + _braces(credentials.username) + " "
            "may not pull it. Check the name, and the user's rights there."
        )
    return (
        "{domain} refused the user name " + _braces(credentials.username) + " and its password for "
        f"{{path}}. Give the right ones with {_NEW_CREDENTIALS}."
    )


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
