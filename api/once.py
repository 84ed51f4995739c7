"""``Idempotency-Key``: a client that lost the answer to a POST may send it again (API.md)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Header, Request

from api.call import Call, Caller
from enclave.idempotency import IdempotencyKey
from enclave.operation import Operation

_PURPOSE = "idempotency"  # the digests' own key: a body may hold a password short enough to guess

_Header = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Any word of yours. Sent again within a day with the same body, it answers "
        "with the operation that the first request made, and makes no other one.",
    ),
]


@dataclass(frozen=True, slots=True)
class Once:
    """The key of a request, if it has one."""

    key: IdempotencyKey | None

    def earlier(self, caller: Call) -> Operation | None:
        """Return the operation that the request has made already, None if this is the first.

        Raises ``IdempotencyKeyReused`` when something else was asked with that key.
        """
        if self.key is None:
            return None
        operation_id = caller.store.operations.made_with(self.key)
        return None if operation_id is None else caller.operation(operation_id)


async def _once(request: Request, caller: Caller, given: _Header = None) -> Once:
    if given is None:
        return Once(None)
    asked = request.url.path.encode() + b"\n" + await request.body()
    digest = hmac.new(caller.store.sealer.derive(_PURPOSE), asked, sha256)
    # Each scope has its own keys: a narrower token hears nothing of what a wider one asked for.
    word = f"{caller.principal.scope} {given}"
    return Once(IdempotencyKey(caller.user.id, word, digest.hexdigest()))


AskedOnce = Annotated[Once, Depends(_once)]
"""What a route takes that makes an operation."""
