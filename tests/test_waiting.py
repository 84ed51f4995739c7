"""What those who follow an operation are told while it waits, with a real Redis."""

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from enclave.waiting import Waiting, Word


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


def submit(store: Store, app: App, email: str) -> int:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, email)
    return store.operations.submit(request, Changes()).id


def take(store: Store, app: App) -> Lease:
    lease = store.leases.take(app.id, holder="w", seconds=60)
    assert lease is not None
    return lease


def test_it_names_what_is_ahead_and_says_when_that_moves(store: Store, app: App) -> None:
    first, second, third = (submit(store, app, f"{who}@example.com") for who in "abc")
    lease = take(store, app)
    waiting = Waiting(store, third)

    word = waiting.look()
    assert word == Word(
        f"queued behind operation {second} (deploy by b@example.com, waiting); position 2",
        True,
        (2, second),
    )
    again = waiting.look()
    assert again is not None
    assert not again.moved

    store.leases.finish(lease, Ending(OperationStatus.FAILED, ""))
    take(store, app)
    word = waiting.look()
    assert word == Word(
        f"queued behind operation {second} (deploy by b@example.com, running for 0s); position 1",
        True,
        (1, second),
    )
    assert Waiting(store, first).look() is None
    assert Waiting(store, second).look() is None


def test_a_worker_that_is_free_is_not_waited_for_in_words(store: Store, app: App) -> None:
    waiting = Waiting(store, submit(store, app, "a@example.com"))
    assert waiting.look() == Word("", False)
    assert waiting.look() == Word("queued until a worker is free", True)
    take(store, app)
    assert waiting.look() is None
