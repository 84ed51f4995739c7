"""Deliveries: recorded with an operation's end, taken, settled, never lost; with a real Redis."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from courier.delivery import deliver_next
from enclave.app import App, AppSecrets, AppState
from enclave.changes import Changes
from enclave.errors import NotFound, NotSent, OperationCancelled
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.people import User
from enclave.store import Store, keys
from enclave.store.deliveries import KEPT, WEBHOOKS_QUEUE, Taken
from enclave.store.leases import Ending
from enclave.webhook import PAUSES, Attempt, DeliveryStatus, Webhook
from enclave.webhook_networks import Networks
from receiver.reminders import remind

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")
SUCCEEDED = Ending(
    OperationStatus.SUCCEEDED, "It is live.", state=AppState("nginx"), secrets=AppSecrets()
)
FAILED = Ending(OperationStatus.FAILED, "it broke")
RQ = f"rq:queue:{WEBHOOKS_QUEUE}"
URL = "https://example.com/hook"
SECRET = "a secret of sixteen or more"
TOOK, BROKE = Attempt(response_code=204), Attempt(error="It broke.")


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


@pytest.fixture
def webhook(store: Store, app: App) -> Webhook:
    return store.webhooks.create(app.id, URL, SECRET)


@pytest.fixture
def twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every script twice, as a client does whose first answer was lost."""
    run = store.database.run

    def run_twice(*arguments: Any) -> object:
        first = run(*arguments)
        again = run(*arguments)
        return first if arguments[0] in ("settle_delivery", "cancel") else again

    monkeypatch.setattr(store.database, "run", run_twice)


def submit(store: Store, app: App) -> int:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email)
    return store.operations.submit(request, Changes()).id


def end(store: Store, app: App, ending: Ending = SUCCEEDED) -> int:
    """Let an operation of the app end; return its id."""
    operation = submit(store, app)
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    store.leases.finish(lease, ending)
    return operation


def told(store: Store, webhook: Webhook) -> list[int]:
    """The operations that it was told of, or shall be, oldest first."""
    deliveries = store.deliveries.of_webhook(webhook.id)
    return [each.operation_id for each in reversed(deliveries)]


def jobs(store: Store) -> int:
    return int(store.database.raw.llen(RQ))


def take(store: Store, webhook: Webhook, holder: str = "c1") -> Taken:
    taken = store.deliveries.take(webhook.id, holder=holder)
    assert taken is not None
    return taken


def let_time_pass(store: Store, webhook: Webhook, seconds: float) -> None:
    """Make all that waits for a time wait that much less: Redis's clock is nobody's to set."""
    raw, gone = store.database.raw, seconds * 1000
    for key in (keys.webhook_pending(webhook.id), keys.WEBHOOKS_DUE):
        for member in raw.zrange(key, 0, -1):
            raw.zincrby(key, -gone, member)
    lease = keys.webhook_lease(webhook.id)
    if raw.exists(lease):
        raw.hincrby(lease, "expires", -round(gone))


def due_in(store: Store) -> float:
    seconds = store.deliveries.due.next_in()
    assert seconds is not None
    return seconds


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize("ending", [SUCCEEDED, FAILED], ids=["succeeded", "failed"])
def test_the_end_of_an_operation_records_one_delivery_and_one_job(
    store: Store, app: App, webhook: Webhook, ending: Ending
) -> None:
    operation = end(store, app, ending)
    (delivery,) = store.deliveries.of_webhook(webhook.id)
    assert (delivery.operation_id, delivery.status) == (operation, DeliveryStatus.PENDING)
    assert delivery.created_at == store.operations.operation(operation).ended_at
    assert store.deliveries.waiting() == {webhook.id}
    assert jobs(store) == 1


@pytest.mark.usefixtures("twice")
def test_a_cancel_while_it_waits_is_an_end(store: Store, app: App, webhook: Webhook) -> None:
    operation = store.operations.operation(submit(store, app))
    assert store.operations.cancel(operation, by=ANN) == "cancelled"
    assert told(store, webhook) == [operation.id]
    assert jobs(store) == 1


def test_a_cancel_of_what_runs_is_told_when_it_has_ended(
    store: Store, app: App, webhook: Webhook
) -> None:
    operation = store.operations.operation(submit(store, app))
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    store.operations.cancel(operation, by=ANN)
    with pytest.raises(OperationCancelled):
        store.leases.finish(lease, SUCCEEDED)
    assert told(store, webhook) == []
    store.leases.finish(lease, FAILED)
    assert told(store, webhook) == [operation.id]


def test_an_operation_that_goes_back_to_the_queue_has_not_ended(
    store: Store, app: App, webhook: Webhook
) -> None:
    submit(store, app)
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    store.leases.hand_back(lease)
    assert told(store, webhook) == []


def test_a_terminal_is_no_work_that_ends(store: Store, app: App, webhook: Webhook) -> None:
    """It is recorded as succeeded before anybody visits, and waits in no queue."""
    store.operations.record(
        OperationRequest(app.id, OperationType.EXECUTE, 1, ANN.email), Changes()
    )
    assert told(store, webhook) == []


def test_each_active_webhook_of_the_app_alone(store: Store, app: App, webhook: Webhook) -> None:
    other = store.webhooks.create(app.id, URL, SECRET)
    paused = store.webhooks.create(app.id, URL, SECRET)
    store.webhooks.change(Webhook(paused.id, app.id, URL, active=False, created_at=""))
    neighbour = store.apps.create(store.apps.environment(app.environment_id), "other")
    elsewhere = store.webhooks.create(neighbour.id, URL, SECRET)

    operation = end(store, app)

    assert [told(store, each) for each in (webhook, other)] == [[operation], [operation]]
    assert [told(store, each) for each in (paused, elsewhere)] == [[], []]
    assert store.deliveries.waiting() == {webhook.id, other.id}


def test_one_created_at_the_last_moment_is_told_too(
    store: Store, app: App, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script ran once without jobs: between that and the next time there is one more."""
    made = [webhook]
    run = store.database.run

    def late(script: str, *arguments: Any) -> object:
        answer = run(script, *arguments)
        if script == "finish" and len(made) == 1:
            assert answer == [str(webhook.id)]
            made.append(store.webhooks.create(app.id, URL, SECRET))
        return answer

    monkeypatch.setattr(store.database, "run", late)
    operation = end(store, app)
    assert [told(store, each) for each in made] == [[operation], [operation]]
    assert (len(made), jobs(store)) == (2, 2)


def test_an_app_without_webhooks_costs_no_question(
    store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(store, app)  # connected, and every script known
    submit(store, app)
    lease = store.leases.take(app.id, holder="w2", seconds=60)
    assert lease is not None
    asked: list[str] = []
    send = store.database.redis.execute_command  # type: ignore[attr-defined]
    monkeypatch.setattr(
        store.database.redis,
        "execute_command",
        lambda *words, **options: asked.append(words[0]) or send(*words, **options),
    )
    store.leases.finish(lease, SUCCEEDED)
    assert asked == ["EVALSHA"]
    assert store.database.raw.keys("enclave:*deliver*") == []
    assert (jobs(store), store.deliveries.due.next_in()) == (0, None)


@pytest.mark.usefixtures("twice")
def test_tried_until_it_is_taken(store: Store, app: App, webhook: Webhook) -> None:
    end(store, app)
    store.deliveries.settle(take(store, webhook), BROKE)
    (delivery,) = store.deliveries.of_webhook(webhook.id)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, 1)
    assert (delivery.error, delivery.response_code) == ("It broke.", None)
    assert store.deliveries.take(webhook.id, holder="c2") is None, "it is not due yet"

    let_time_pass(store, webhook, PAUSES[0])
    store.deliveries.settle(take(store, webhook, "c3"), TOOK)

    (delivery,) = store.deliveries.of_webhook(webhook.id)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 2)
    assert (delivery.error, delivery.response_code) == (None, 204)
    assert delivery.ended_at is not None
    assert delivery.next_at is None
    assert store.deliveries.due.next_in() is None


def test_the_pauses_grow_and_then_it_is_given_up(store: Store, app: App, webhook: Webhook) -> None:
    end(store, app)
    for number, pause in enumerate(PAUSES, start=1):
        store.database.raw.delete(RQ)
        store.deliveries.settle(take(store, webhook, f"c{number}"), BROKE)
        assert pause - 5 < due_in(store) <= pause
        assert remind(store) == 0
        let_time_pass(store, webhook, pause)
        assert remind(store) == 1
        assert jobs(store) == 1
        store.database.raw.zadd(keys.WEBHOOKS_DUE, {str(webhook.id): 1})
        assert remind(store) == 0, "a job that waits is not repeated"
    store.deliveries.settle(take(store, webhook, "last"), Attempt(response_code=500))
    (delivery,) = store.deliveries.of_webhook(webhook.id)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.FAILED, len(PAUSES) + 1)
    assert delivery.response_code == 500
    assert store.deliveries.due.next_in() is None


def test_a_courier_that_was_killed_is_made_up_for(store: Store, app: App, webhook: Webhook) -> None:
    end(store, app)
    dead = take(store, webhook)
    store.database.raw.delete(RQ)  # its job has gone with it
    assert store.deliveries.take(webhook.id, holder="c2") is None, "the dead one may live"
    assert remind(store) == 0

    let_time_pass(store, webhook, 20)

    assert remind(store) == 1
    again = take(store, webhook, "c2")
    assert (again.delivery_id, again.attempts) == (dead.delivery_id, 2)
    store.deliveries.settle(dead, BROKE)  # it was frozen, not dead
    (delivery,) = store.deliveries.of_webhook(webhook.id)
    assert delivery.error is None
    store.deliveries.settle(again, TOOK)
    (delivery,) = store.deliveries.of_webhook(webhook.id)
    assert delivery.status is DeliveryStatus.SUCCEEDED


def test_a_job_that_was_lost_is_repeated(store: Store, app: App, webhook: Webhook) -> None:
    end(store, app)
    store.database.raw.delete(RQ)
    assert remind(store) == 0
    let_time_pass(store, webhook, 10)
    assert remind(store) == 1
    assert jobs(store) == 1


def test_one_at_a_time_and_turns_for_the_others(store: Store, app: App, webhook: Webhook) -> None:
    """A webhook with much to hear has one job in RQ's list, at its end after each try."""
    operations = [end(store, app) for _ in range(3)]
    assert jobs(store) == 1
    store.database.raw.delete(RQ)
    for number in range(3):
        taken = take(store, webhook, f"c{number}")
        assert store.deliveries.take(webhook.id, holder="other") is None
        store.deliveries.settle(taken, TOOK)
        assert jobs(store) == (1 if number < 2 else 0)
        store.database.raw.delete(RQ)
    assert told(store, webhook) == operations


def test_the_newest_that_have_ended_are_kept(store: Store, app: App, webhook: Webhook) -> None:
    operations = [end(store, app) for _ in range(KEPT + 2)]
    for number in range(KEPT + 2):
        store.deliveries.settle(take(store, webhook, f"c{number}"), TOOK)
    assert told(store, webhook) == operations[2:]
    assert len(store.database.raw.keys("enclave:delivery:*")) == KEPT


@pytest.mark.usefixtures("twice")
def test_a_webhook_that_is_removed_leaves_nothing(store: Store, app: App, webhook: Webhook) -> None:
    end(store, app)
    store.deliveries.settle(take(store, webhook), TOOK)
    end(store, app)
    taken = take(store, webhook, "c2")
    store.webhooks.remove(webhook)
    store.deliveries.settle(taken, BROKE)
    left = [*store.database.raw.keys("enclave:delivery:*")]
    left += store.database.raw.keys("enclave:webhook:*")
    left += store.database.raw.keys("enclave:app:*:webhooks")
    assert (left, store.deliveries.due.next_in()) == ([], None)
    end(store, app)
    assert store.deliveries.of_webhook(webhook.id) == []
    with pytest.raises(NotFound):
        store.webhooks.change(webhook)


def test_what_waits_for_one_that_is_switched_off_has_failed(
    store: Store, app: App, webhook: Webhook
) -> None:
    end(store, app)
    taken = take(store, webhook)
    end(store, app)
    store.webhooks.change(Webhook(webhook.id, app.id, URL, active=False, created_at=""))
    store.deliveries.settle(taken, BROKE)
    deliveries = store.deliveries.of_webhook(webhook.id)
    assert {each.status for each in deliveries} == {DeliveryStatus.FAILED}
    assert {each.error for each in deliveries} == {"The webhook was made inactive."}
    assert store.deliveries.take(webhook.id, holder="c2") is None
    store.webhooks.change(webhook)
    operation = end(store, app)
    assert told(store, webhook)[-1] == operation
    take(store, webhook, "c3")


class TestOneTry:
    """What a courier does with it (``courier/delivery.py``)."""

    def test_sends_what_ended_to_the_url_of_the_moment(
        self, store: Store, app: App, webhook: Webhook
    ) -> None:
        end(store, app)
        store.webhooks.change(Webhook(webhook.id, app.id, "http://moved/", True, ""))
        sent: list[tuple[str, bytes, dict[str, str]]] = []

        def send(url: str, body: bytes, headers: Any, _networks: Networks) -> int:
            sent.append((url, body, headers))
            return 200

        attempt = deliver_next(store, Networks(), webhook.id, send=send)
        assert attempt == Attempt(response_code=200)
        ((url, body, headers),) = sent
        assert (url, b'"message": "It is live."' in body) == ("http://moved/", True)
        assert headers["Enclave-Event"] == "operation.succeeded"
        assert abs(int(headers["Enclave-Timestamp"]) - time.time()) < 60
        assert deliver_next(store, Networks(), webhook.id, send=send) is None

    def test_the_end_of_the_app_is_the_last_it_hears(
        self, store: Store, app: App, webhook: Webhook
    ) -> None:
        end(store, app, replace(SUCCEEDED, deprovisions=True))
        sent: list[bytes] = []
        deliver_next(
            store, Networks(), webhook.id, send=lambda _url, body, *_: sent.append(body) or 200
        )
        assert b'"app": {"id": 1, "handle": "web", "environment": "prod"}' in sent[0]

    def test_tells_why_it_was_not_sent(self, store: Store, app: App, webhook: Webhook) -> None:
        end(store, app)

        def send(*_: object) -> int:
            raise NotSent("example.com is not known.")

        attempt = deliver_next(store, Networks(), webhook.id, send=send)
        assert attempt == Attempt(error="example.com is not known.")
        (delivery,) = store.deliveries.of_webhook(webhook.id)
        assert delivery.error == "example.com is not known."

    def test_an_unreadable_secret_is_the_operators_to_mend(
        self, store: Store, app: App, webhook: Webhook
    ) -> None:
        end(store, app)
        store.database.redis.hset(keys.webhook(webhook.id), "secret", "gAAAnothing")
        attempt = deliver_next(store, Networks(), webhook.id, send=lambda *_: 200)
        assert attempt is not None
        assert attempt.error == "It cannot be sent: tell the server's operator."

    def test_what_kills_every_courier_is_given_up(
        self, store: Store, app: App, webhook: Webhook
    ) -> None:
        end(store, app)
        for number in range(len(PAUSES) + 1):
            take(store, webhook, f"dead {number}")
            let_time_pass(store, webhook, 20)
        sent: list[Callable[..., int]] = []
        deliver_next(store, Networks(), webhook.id, send=lambda *_: sent.append(max) or 200)
        (delivery,) = store.deliveries.of_webhook(webhook.id)
        assert (delivery.status, sent) == (DeliveryStatus.FAILED, [])


@pytest.mark.parametrize("code", [200, 204, 299])
def test_2xx_is_success(code: int) -> None:
    assert Attempt(response_code=code).succeeded


@pytest.mark.parametrize("code", [100, 199, 300, 301, 404, 500])
def test_nothing_else_is(code: int) -> None:
    assert not Attempt(response_code=code).succeeded
