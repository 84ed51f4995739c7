"""The RQ job: "webhook N has something due".

It runs in a work horse, a child forked for each job.
"""

from __future__ import annotations

from courier.delivery import deliver_next
from enclave.settings import settings
from enclave.store import open_store


def deliver(webhook_id: int) -> None:
    """Try one delivery of the webhook; if more is due for it, another job follows."""
    chosen = settings()
    deliver_next(open_store(chosen), chosen.webhook_exceptions, webhook_id)
