"""What a pusher is shown of the deploy it waits for, with a real Redis."""

import threading
from pathlib import Path

import pytest

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import Operation, OperationRequest, OperationStatus, OperationType
from enclave.people import User
from enclave.sealing import Sealer
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from receiver.follow import follow_operation
from testbed.processes import wait_until

ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")
SUCCEEDED = Ending(OperationStatus.SUCCEEDED, "Deploy succeeded.")
FAILED = Ending(OperationStatus.FAILED, "it broke")


class Pusher:
    """Stands for ``Report``: keeps what it is told. ``ended`` is the operation at its end."""

    def __init__(
        self, store: Store, operation: Operation, *, silence: float = 0.05, takes: bool = True
    ) -> None:
        self.said: list[str] = []
        self.drawn: list[str] = []
        self.kept_alive = 0
        self.ended: Operation | None = None
        self.may_go_on = threading.Event()
        if takes:
            self.may_go_on.set()

        def watch() -> None:
            self.ended = follow_operation(store, operation.id, self, silence=silence)  # type: ignore[arg-type]

        self._thread = threading.Thread(target=watch, daemon=True)
        self._thread.start()

    def say(self, lines: list[str]) -> None:
        self.said += lines
        self.may_go_on.wait(20)

    def replace(self, line: str) -> None:
        self.drawn.append(line)

    def keep_alive(self) -> None:
        self.kept_alive += 1

    def hears(self, words: str) -> None:
        wait_until(
            lambda: any(words in line for line in self.said), seconds=10, what=f"no {words!r}"
        )

    def hears_the_end(self) -> Operation:
        self._thread.join(10)
        assert self.ended is not None, self.said
        return self.ended


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "web")


def submit(store: Store, app: App) -> Operation:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, ANN.email)
    return store.operations.submit(request, Changes())


def take(store: Store, app: App) -> Lease:
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    return lease


def test_lines_from_the_beginning_to_the_end(store: Store, app: App) -> None:
    operation = submit(store, app)
    lease = take(store, app)
    store.logs.append(lease, ["one", "two"])
    pusher = Pusher(store, operation)
    pusher.hears("two")
    store.logs.append(lease, ["three"], progress="10%")
    wait_until(lambda: pusher.drawn == ["10%"], seconds=5, what="no progress")
    store.leases.finish(lease, SUCCEEDED)
    assert pusher.hears_the_end().status is OperationStatus.SUCCEEDED
    assert pusher.said == ["one", "two", "three", "INFO: Deploy succeeded."]
    assert pusher.drawn == ["10%"]


def test_who_waits_is_told_for_what_each_time_the_queue_moves(
    store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.follow.LOOK_SECONDS", 0.05)
    first, second, third = (submit(store, app) for _ in range(3))
    lease = take(store, app)
    pusher = Pusher(store, third)
    pusher.hears(f"behind operation {second.id} (deploy by {ANN.email}, waiting); position 2.")
    store.leases.finish(lease, FAILED)
    lease = take(store, app)
    pusher.hears(f"operation {second.id} (deploy by {ANN.email}, running for 0s); position 1.")
    wait_until(lambda: len(pusher.drawn) > 2, seconds=5, what="the time does not go on")
    store.leases.finish(lease, FAILED)
    store.leases.finish(take(store, app), FAILED)
    assert pusher.hears_the_end().message == "it broke"
    assert [line for line in pusher.said if str(first.id) + " (" in line] == []
    assert len(pusher.said) == 3  # twice the queue moved, and the end came: it was not flooded
    assert pusher.kept_alive > 0


def test_a_cancel_of_what_waits_is_told_at_once(store: Store, app: App) -> None:
    submit(store, app)
    waiting = submit(store, app)
    take(store, app)
    pusher = Pusher(store, waiting, silence=5)
    pusher.hears("queued behind")
    assert store.operations.cancel(waiting, by=ANN) == "cancelled"
    assert pusher.hears_the_end().cancelled
    assert pusher.said[-1] == "ERROR: Cancelled by ann@example.com."


def test_one_that_is_handed_back_is_followed_to_its_end(store: Store, app: App) -> None:
    operation = submit(store, app)
    lease = take(store, app)
    pusher = Pusher(store, operation)
    store.logs.append(lease, ["by the first"])
    pusher.hears("by the first")
    store.leases.hand_back(lease)
    lease = take(store, app)
    store.logs.append(lease, ["by the second"])
    store.leases.finish(lease, SUCCEEDED)
    assert pusher.hears_the_end().status is OperationStatus.SUCCEEDED
    assert pusher.said[:2] == ["by the first", "by the second"]


def test_who_takes_so_long_that_the_log_is_gone_hears_the_outcome(
    redis_url: str, tmp_path: Path, app: App
) -> None:
    sparing = Store(redis_url, Sealer.from_settings("", tmp_path), logs_kept=1)
    operation = submit(sparing, app)
    lease = take(sparing, app)
    sparing.logs.append(lease, ["one"])
    pusher = Pusher(sparing, operation, takes=False)
    pusher.hears("one")  # its client takes nothing more for now
    sparing.leases.finish(lease, FAILED)
    submit(sparing, app)
    sparing.leases.finish(take(sparing, app), FAILED)
    assert not sparing.logs.is_kept(operation.id)
    pusher.may_go_on.set()
    assert pusher.hears_the_end().message == "it broke"
    assert pusher.said[1:] == [f"WARN: The log of operation {operation.id} is not kept any more."]
