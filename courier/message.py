"""What a webhook is sent: a JSON body, and headers that prove whose it is and when it was sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from enclave.app import App
from enclave.operation import Operation
from enclave.webhook import Delivery, event_of


@dataclass(frozen=True, slots=True)
class Message:
    """The body is the same at each try of a delivery; the headers are not."""

    body: bytes
    event: str
    delivery_id: int

    @classmethod
    def of(cls, delivery: Delivery, app: App, operation: Operation) -> Message:
        """Return what a delivery says: which operation of which app ended, and how.

        The operation's message is the one that its log ends with, and holds no secret either.
        """
        event, request = event_of(operation), operation.request
        content = {
            "event": event,
            "delivery": delivery.id,
            "time": delivery.created_at,
            "app": {"id": app.id, "handle": app.handle, "environment": app.environment},
            "operation": {
                "id": operation.id,
                "type": request.type.value,
                "status": operation.status.value,
                "cancelled": operation.cancelled,
                "git_ref": request.git_ref,
                "user_email": request.user_email,
                "message": operation.message,
                "created_at": operation.created_at,
                "ended_at": operation.ended_at,
            },
        }
        return cls(json.dumps(content).encode(), event, delivery.id)

    def headers(self, secret: str, moment: int) -> dict[str, str]:
        """Return the headers of a try at ``moment`` (Unix time)."""
        return {
            "Content-Type": "application/json",
            "User-Agent": "Enclave-Webhooks",
            "Enclave-Event": self.event,
            "Enclave-Delivery": str(self.delivery_id),
            "Enclave-Timestamp": str(moment),
            "Enclave-Signature": signature(secret, moment, self.body),
        }


def signature(secret: str, moment: int, body: bytes) -> str:
    """Return ``v1=`` and the HMAC-SHA256 of ``MOMENT.BODY``, in hexadecimal digits.

    The time is signed, too, so that whoever kept a message cannot send it again much later.
    """
    signed = f"{moment}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
