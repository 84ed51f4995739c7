"""Webhooks: addresses that are told of the ends of an app's operations; how that went."""

from __future__ import annotations

import secrets
from dataclasses import replace

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictBool, StrictStr

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from api.operation_requests import require_alive
from enclave.access import permitted_webhook
from enclave.errors import Forbidden
from enclave.people import Role
from enclave.webhook import Delivery, Webhook, read_secret, read_url

router = APIRouter(tags=["webhooks"])

_SECRET_BYTES = 32


class NewWebhook(BaseModel):
    """Where to send, and what to sign with; a secret is made when none is given."""

    url: StrictStr
    secret: StrictStr | None = Field(None, repr=False)


class WebhookChanges(BaseModel):
    """What is not given stays."""

    url: StrictStr | None = None
    active: StrictBool | None = None


@router.get("/apps/{app_id}/webhooks", response_model=shapes.Webhooks)
def list_webhooks(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's webhooks, oldest first."""
    caller.app(app_id)
    found = caller.store.webhooks.of_app(app_id)
    address = caller.links.to("apps", app_id, "webhooks")
    return collected(address, "webhooks", found, lambda each: _webhook(caller, each), page)


@router.post("/apps/{app_id}/webhooks", status_code=201, response_model=shapes.CreatedWebhook)
def create_webhook(app_id: int, body: NewWebhook, caller: Caller) -> Resource:
    """Create a webhook. Its secret is in this answer, and in no other."""
    require_alive(caller, caller.app(app_id, Role.ADMIN))
    url = read_url(body.url, caller.settings.webhook_exceptions)
    secret = secrets.token_hex(_SECRET_BYTES) if body.secret is None else read_secret(body.secret)
    created = caller.store.webhooks.create(app_id, url, secret, actor=caller.actor)
    return {**_webhook(caller, created), "secret": secret}


@router.get("/webhooks/{webhook_id}", response_model=shapes.Webhook)
def show_webhook(webhook_id: int, caller: Caller) -> Resource:
    """Show a webhook, and how its last deliveries went."""
    return _webhook(caller, _permitted(caller, webhook_id, Role.READ))


@router.put("/webhooks/{webhook_id}", response_model=shapes.Webhook)
def change_webhook(webhook_id: int, body: WebhookChanges, caller: Caller) -> Resource:
    """Change the URL, or switch the webhook off: what waits for it then has failed."""
    webhook = _permitted(caller, webhook_id, Role.ADMIN)
    if body.url is not None:
        webhook = replace(webhook, url=read_url(body.url, caller.settings.webhook_exceptions))
    if body.active is not None:
        webhook = replace(webhook, active=body.active)
    return _webhook(caller, caller.store.webhooks.change(webhook, actor=caller.actor))


@router.delete("/webhooks/{webhook_id}", response_model=shapes.Webhook)
def delete_webhook(webhook_id: int, caller: Caller) -> Resource:
    """Remove a webhook, and what it was to be told; the answer shows it for the last time."""
    webhook = _permitted(caller, webhook_id, Role.ADMIN)
    shown = _webhook(caller, webhook)
    caller.store.webhooks.remove(webhook, actor=caller.actor)
    return shown


def _permitted(caller: Call, webhook_id: int, role: Role) -> Webhook:
    return permitted_webhook(caller.store, caller.principal, webhook_id, role)


def _shown_url(caller: Call, webhook: Webhook) -> str:
    """Return the URL to who may change it; of it to others no more than they may know.

    With some receivers, to know the URL is to be able to write there.
    """
    try:
        caller.app(webhook.app_id, Role.ADMIN)
    except Forbidden:
        return "/".join([*webhook.url.split("/")[:3], "…"])
    return webhook.url


def _webhook(caller: Call, webhook: Webhook) -> Resource:
    deliveries = caller.store.deliveries.of_webhook(webhook.id)
    return {
        "_type": "webhook",
        "id": webhook.id,
        "url": _shown_url(caller, webhook),
        "active": webhook.active,
        "created_at": webhook.created_at,
        "_embedded": {"deliveries": [_delivery(caller, each) for each in deliveries]},
        "_links": caller.links.hal(self=["webhooks", webhook.id], app=["apps", webhook.app_id]),
    }


def _delivery(caller: Call, delivery: Delivery) -> Resource:
    return {
        "_type": "webhook_delivery",
        "id": delivery.id,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "response_code": delivery.response_code,
        "error": delivery.error,
        "created_at": delivery.created_at,
        "attempted_at": delivery.attempted_at,
        "next_attempt_at": delivery.next_at,
        "ended_at": delivery.ended_at,
        "_links": caller.links.hal(operation=["operations", delivery.operation_id]),
    }
