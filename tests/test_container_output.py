"""What an attendant sends of an app's containers: where it begins, how far it is, and its end."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from printing_engine import PrintingEngine

from enclave.app import App, AppSecrets, AppState
from enclave.attending import FollowContainers
from enclave.changes import Changes
from enclave.errors import InvalidInput, NotFound
from enclave.log_position import Position
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.store import Store
from enclave.store.leases import Ending
from worker.attendant import container_output
from worker.attendant.container_output import DEPROVISIONED, ContainerOutput

Event = dict[str, Any]


class Reader:
    """A session whose reader does something at each event, and may see enough."""

    def __init__(self, at: Callable[[Event], None] = lambda _: None) -> None:
        self.events: list[Event] = []
        self._at = at
        self.stdout = self

    def write(self, sent: bytes) -> None:
        for line in sent.splitlines():
            self.events.append(json.loads(line))
            self._at(self.events[-1])

    async def drain(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_output, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(container_output, "NOTED_SECONDS", 0)


@pytest.fixture
def app(store: Store) -> App:
    return store.apps.create(store.apps.create_environment("prod"), "shop")


def send(store: Store, engine: PrintingEngine, request: FollowContainers, reader: Reader) -> None:
    async def within() -> None:
        async with asyncio.timeout(20):
            await ContainerOutput(store, engine, "ours").send(request, reader)  # type: ignore[arg-type]

    asyncio.run(within())


def deprovision(store: Store, app: App) -> None:
    request = OperationRequest(app.id, OperationType.DEPROVISION, 1, "ann@example.com")
    store.operations.submit(request, Changes())
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    gone = Ending(
        OperationStatus.SUCCEEDED, "", state=AppState(), secrets=AppSecrets(), deprovisions=True
    )
    store.leases.finish(lease, gone)


def test_it_tells_where_it_begins_then_how_far_each_batch_leads_and_the_end(
    store: Store, app: App
) -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    engine.print(web, 1, "one\n")

    def at(event: Event) -> None:
        if event.get("line") == "one":
            engine.print(web, 2, "two\n")
        if event.get("line") == "two":
            deprovision(store, app)

    reader = Reader(at)
    send(store, engine, FollowContainers(app.id), reader)
    kinds = [next(iter(event)) for event in reader.events]
    assert kinds == ["position", "service", "position", "service", "position", "end"]
    assert reader.events[-1] == {"end": DEPROVISIONED}
    begin, first, last = [each["position"] for each in reader.events if "position" in each]
    assert Position.read(begin).place(web).newest.count == 0
    assert Position.read(first).place(web).newest.count == 1

    again = Reader()
    send(store, engine, FollowContainers(app.id, after=begin), again)
    assert [each["line"] for each in again.events if "line" in each] == ["one", "two"]
    known = Reader()
    send(store, engine, FollowContainers(app.id, after=last), known)
    assert [each for each in known.events if "line" in each] == []


def test_who_follows_is_noted_by_name(store: Store, app: App) -> None:
    engine, reader = PrintingEngine(), Reader(lambda _: deprovision(store, app))
    web = engine.add("web")
    engine.print(web, 1, "one\n")
    send(store, engine, FollowContainers(app.id, follower="me"), reader)
    assert store.followers.any(app.id)
    store.followers.leave(app.id, "me")
    assert not store.followers.any(app.id)


def test_who_takes_nothing_keeps_its_place(store: Store, app: App) -> None:
    """Else others would come beside those who hold the attendant up."""

    class Stuck(Reader):
        async def drain(self) -> None:
            store.followers.leave(app.id, "me")
            async with asyncio.timeout(20):
                while not await asyncio.to_thread(store.followers.any, app.id):
                    pass
            deprovision(store, app)

    engine, reader = PrintingEngine(), Stuck()
    engine.add("web")
    send(store, engine, FollowContainers(app.id, follower="me"), reader)
    assert reader.events[-1] == {"end": DEPROVISIONED}


def test_no_app_and_no_position_are_refused(store: Store, app: App) -> None:
    with pytest.raises(NotFound):
        send(store, PrintingEngine(), FollowContainers(999), Reader())
    with pytest.raises(InvalidInput):
        send(store, PrintingEngine(), FollowContainers(app.id, after="now"), Reader())
