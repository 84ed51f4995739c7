"""One delivery of one webhook: taken, tried once, settled."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping

from courier.message import Message
from courier.sending import post
from enclave.errors import EnclaveError, NotFound, NotSent, StoreUnavailable
from enclave.store import Store
from enclave.store.deliveries import Taken
from enclave.webhook import PAUSES, Attempt
from enclave.webhook_networks import Networks

logger = logging.getLogger(__name__)

Post = Callable[[str, bytes, Mapping[str, str], Networks], int]


def deliver_next(
    store: Store, networks: Networks, webhook_id: int, *, send: Post = post
) -> Attempt | None:
    """Try the webhook's next delivery that is due; None when there is none, or another tries it.

    Whatever comes of it is recorded; raises ``StoreUnavailable``. A courier that is killed between
    sending and recording sends it again: the receiver knows the delivery by its number.
    """
    taken = store.deliveries.take(webhook_id, holder=uuid.uuid4().hex)
    if taken is None:
        return None
    attempt = _attempt(store, networks, taken, send)
    store.deliveries.settle(taken, attempt)
    return attempt


def _attempt(store: Store, networks: Networks, taken: Taken, send: Post) -> Attempt:
    if taken.attempts > len(PAUSES) + 1:
        return Attempt(error="Whoever tried it vanished again and again: it is given up.")
    try:
        webhook = store.webhooks.webhook(taken.webhook_id)
        delivery = store.deliveries.delivery(taken.delivery_id)
        if delivery is None:
            raise NotFound("the webhook is gone")
        operation = store.operations.operation(delivery.operation_id)
        message = Message.of(delivery, store.apps.app(webhook.app_id), operation)
        headers = message.headers(store.webhooks.secret(webhook), int(time.time()))
        return Attempt(response_code=send(webhook.url, message.body, headers, networks))
    except StoreUnavailable:
        raise
    except (NotSent, NotFound) as error:
        return Attempt(error=str(error))
    except EnclaveError:  # of the installation's, such as a secret that no key opens
        logger.exception("delivery %s cannot be sent", taken.delivery_id)
        return Attempt(error="It cannot be sent: tell the server's operator.")
