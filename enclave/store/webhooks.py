"""Webhooks in Redis: created, changed, forgotten. What they are told: ``deliveries.py``."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress

from enclave.activity import LOCAL, Actor
from enclave.clock import now_iso
from enclave.errors import InvalidWebhook, NotFound
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.database import Database, Word, unavailable_when_lost
from enclave.store.deliveries import KEPT, webhook_keys
from enclave.webhook import MOST_OF_AN_APP, Webhook

_PAUSED = "The webhook was made inactive."


class Webhooks:
    """Each app's, by number. URL and secret are sealed: with some receivers, to know one is all."""

    def __init__(self, database: Database, sealer: Sealer, activities: Activities) -> None:
        self._database, self._sealer, self._activities = database, sealer, activities
        self._redis = database.redis

    def create(self, app_id: int, url: str, secret: str, *, actor: Actor = LOCAL) -> Webhook:
        """Keep an active webhook; raises ``InvalidWebhook`` when the app has ten."""
        webhook_id = self._database.next_id("webhook")
        fields = {
            "app": str(app_id),
            "created_at": now_iso(),
            "sealed": self._sealer.seal(url),
            "secret": self._sealer.seal(secret),
        }
        flat = [word for pair in fields.items() for word in pair]
        created = self._database.run(
            "create_webhook",
            [keys.webhook(webhook_id), keys.app_webhooks(app_id)],
            [
                *(webhook_id, MOST_OF_AN_APP),
                self._entry(actor, "webhook.create", webhook_id, app_id, url),
                *flat,
            ],
        )
        if not created:
            raise InvalidWebhook(f"An app has at most {MOST_OF_AN_APP} webhooks: remove one first.")
        return self.webhook(webhook_id)

    def webhook(self, webhook_id: int) -> Webhook:
        """Return a webhook; raises ``NotFound``."""
        names = ("app", "sealed", "created_at")
        with unavailable_when_lost():
            app_id, sealed, created_at = self._redis.hmget(keys.webhook(webhook_id), names)
            if app_id is None or sealed is None or created_at is None:
                raise NotFound("there is no such webhook")
            active = self._redis.hget(keys.app_webhooks(int(app_id)), str(webhook_id))
        url = self._sealer.open(sealed)
        return Webhook(webhook_id, int(app_id), url, active == "1", created_at)

    def app_id(self, webhook_id: int) -> int:
        """Return whose it is, without opening what is sealed; raises ``NotFound``."""
        with unavailable_when_lost():
            app_id = self._redis.hget(keys.webhook(webhook_id), "app")
        if app_id is None:
            raise NotFound("there is no such webhook")
        return int(app_id)

    def secret(self, webhook: Webhook) -> str:
        """Return what its messages are signed with; raises ``NotFound``."""
        with unavailable_when_lost():
            sealed = self._redis.hget(keys.webhook(webhook.id), "secret")
        if sealed is None:
            raise NotFound("there is no such webhook")
        return self._sealer.open(sealed)

    def of_app(self, app_id: int) -> list[Webhook]:
        """Return the app's webhooks, oldest first."""
        with unavailable_when_lost():
            ids = self._redis.hkeys(keys.app_webhooks(app_id))
        found = []
        for each in sorted(map(int, ids)):
            with suppress(NotFound):  # it was removed meanwhile
                found.append(self.webhook(each))
        return found

    def change(self, webhook: Webhook, *, actor: Actor = LOCAL) -> Webhook:
        """Make the stored one so; what waits for one that is made inactive has failed.

        Raises ``NotFound``.
        """
        changed = self._database.run(
            "change_webhook",
            [*webhook_keys(webhook.id), keys.app_webhooks(webhook.app_id)],
            [
                webhook.id,
                self._sealer.seal(webhook.url),
                "1" if webhook.active else "0",
                now_iso(),
                keys.delivery_prefix(),
                KEPT,
                *(_PAUSED, uuid.uuid4().hex),
                self._entry(actor, "webhook.change", webhook.id, webhook.app_id, webhook.url),
            ],
        )
        if not changed:
            raise NotFound("there is no such webhook")
        return self.webhook(webhook.id)

    def remove(self, webhook: Webhook, *, actor: Actor = LOCAL) -> None:
        """Forget the webhook, and all that was to be told to it."""
        script_keys = [*webhook_keys(webhook.id), keys.app_webhooks(webhook.app_id)]
        entry = self._entry(actor, "webhook.remove", webhook.id, webhook.app_id, webhook.url)
        arguments: list[Word] = [webhook.id, keys.delivery_prefix(), entry]
        self._database.run("remove_webhook", script_keys, arguments)

    def _entry(self, actor: Actor, action: str, webhook_id: int, app_id: int, url: str) -> str:
        """Return what the activity says, as JSON: of the URL, which may be a secret, the host."""
        about = f"{webhook_id} {url.split('/')[2]}"
        return json.dumps(self._activities.entry(actor, action, about, app_id=app_id))
