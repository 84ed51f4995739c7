"""Waiting for what comes without asking again and again, with a real Redis (DESIGN 4)."""

import asyncio
import time

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationType
from enclave.people import User
from enclave.store import Store, keys

LONG = 30.0
SOON = 2.0


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


def submit(store: Store, app: App) -> None:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
    store.operations.submit(request, Changes())


async def subscribed(store: Store, channel: str = keys.DUE) -> None:
    """Return when somebody waits."""
    async with asyncio.timeout(5):
        while not dict(store.database.raw.pubsub_numsub(channel))[channel.encode()]:
            await asyncio.sleep(0.01)


def test_an_announcement_ends_the_waiting_at_once(store: Store, app: App) -> None:
    async def wait() -> float:
        waiting = asyncio.create_task(store.due.wait(LONG))
        await subscribed(store)
        began = time.monotonic()
        await asyncio.to_thread(submit, store, app)
        await waiting
        return time.monotonic() - began

    assert asyncio.run(wait()) < SOON


def test_what_is_there_already_is_not_waited_for(store: Store, app: App) -> None:
    submit(store, app)
    began = time.monotonic()
    asyncio.run(store.due.wait(LONG))
    assert time.monotonic() - began < SOON


def test_it_waits_no_longer_than_asked(store: Store) -> None:
    began = time.monotonic()
    asyncio.run(store.due.wait(0.3))
    assert 0.3 <= time.monotonic() - began < SOON


def test_a_connection_that_breaks_ends_the_waiting(store: Store) -> None:
    """An announcement may have been lost with it: whoever waited looks again."""

    async def wait() -> None:
        waiting = asyncio.create_task(store.due.wait(LONG))
        await subscribed(store)
        store.database.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await waiting

    began = time.monotonic()
    asyncio.run(wait())
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(("due_in", "seconds"), [(0.3, LONG), (LONG, 0.3), (None, 0.3)])
def test_the_first_is_waited_for_and_no_longer_than_asked(
    store: Store, due_in: float | None, seconds: float
) -> None:
    if due_in is not None:
        store.database.raw.zadd(keys.WEBHOOKS_DUE, {"7": (time.time() + due_in) * 1000})
    began = time.monotonic()
    asyncio.run(store.deliveries.due.wait_for_first(seconds))
    assert 0.25 <= time.monotonic() - began < SOON


def test_an_earlier_one_ends_the_waiting_for_the_first(store: Store, app: App) -> None:
    """As a delivery that is due in two hours is overtaken by what fails now."""
    webhook = store.webhooks.create(app.id, "https://example.com/", "a secret of sixteen")
    store.database.raw.zadd(keys.WEBHOOKS_DUE, {"4711": (time.time() + LONG) * 1000})

    async def wait() -> float:
        waiting = asyncio.create_task(store.deliveries.due.wait_for_first(LONG))
        await subscribed(store, keys.WEBHOOKS_DUE)
        began = time.monotonic()
        await asyncio.to_thread(submit, store, app)
        operation = store.operations.operations(app.id, newest=1)[0]
        user = User(1, "me@example.com", operation.created_at)
        await asyncio.to_thread(store.operations.cancel, operation, by=user)
        await waiting
        return time.monotonic() - began

    assert asyncio.run(wait()) < SOON
    assert store.deliveries.waiting() == {webhook.id}
