"""Webhooks: an address of a user's that is told of the end of each operation of an app."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import HttpUrl, TypeAdapter, ValidationError

from enclave.errors import InvalidWebhook
from enclave.operation import Operation, OperationStatus
from enclave.webhook_networks import Networks

MOST_OF_AN_APP = 10
"""Webhooks of one app."""

PAUSES = (10, 60, 300, 1800, 7200)
"""Seconds between one try of a delivery and the next; after the last it is given up."""

_URL_CHARACTERS = 2000
_SECRET_CHARACTERS = (16, 200)
_URL = TypeAdapter(HttpUrl)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address. Its secret is not part of it: that is shown once, and used for signing."""

    id: int
    app_id: int
    url: str
    active: bool
    created_at: str


class DeliveryStatus(StrEnum):
    """``PENDING`` until a try succeeds, or the last one has failed."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one webhook about the end of one operation.

    ``response_code`` (HTTP) and ``error`` (a sentence) are of the last try that ended: one of them
    is there, or neither before the first. ``next_at`` is when it is tried again.
    """

    id: int
    webhook_id: int
    operation_id: int
    status: DeliveryStatus
    attempts: int
    created_at: str
    attempted_at: str | None = None
    ended_at: str | None = None
    next_at: str | None = None
    response_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one try ended: with an answer's code, or with a sentence that says why there is none."""

    response_code: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has it: it answered 2xx."""
        return self.response_code is not None and 200 <= self.response_code < 300


def pause_after(attempts: int) -> int | None:
    """Return the seconds until the next try after so many; None when it is given up."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def event_of(operation: Operation) -> str:
    """Return the name of what happened: ``operation.succeeded``, ``.failed`` or ``.cancelled``."""
    if operation.status is OperationStatus.SUCCEEDED:
        return "operation.succeeded"
    return "operation.cancelled" if operation.cancelled else "operation.failed"


def read_url(text: str, networks: Networks) -> str:
    """Return the address in its one form (WHATWG). Raises ``InvalidWebhook``.

    A host that is a name is judged by its addresses, each time something is sent there.
    """
    if len(text) > _URL_CHARACTERS:
        raise InvalidWebhook(f"A webhook's URL has at most {_URL_CHARACTERS} characters.")
    try:
        url = _URL.validate_python(text)
    except ValidationError:
        raise InvalidWebhook(
            "A webhook's URL begins with http:// or https:// and a host, "
            "as https://example.com/deployed does."
        ) from None
    if url.username is not None or url.password is not None:
        raise InvalidWebhook(
            "A webhook's URL holds no user name or password: what is sent there is signed."
        )
    if url.fragment is not None:
        raise InvalidWebhook("Leave out what follows # in the URL: it is never sent.")
    if not url.port:
        raise InvalidWebhook("A webhook's URL names a port from 1 to 65535, or none.")
    host = (url.host or "").strip("[]")
    if networks.are_of(host) and not networks.allow(host):
        raise InvalidWebhook(f"Webhooks may not reach {host}: it is no public address.")
    return str(url)


def read_secret(text: str) -> str:
    """Return the secret a user gives; raises ``InvalidWebhook``, whose text holds none of it."""
    least, most = _SECRET_CHARACTERS
    if not (least <= len(text) <= most and text.isascii() and text.isprintable()):
        raise InvalidWebhook(
            f"A webhook's secret has {least} to {most} printable ASCII characters. "
            "Leave it out, and one is made."
        )
    return text
