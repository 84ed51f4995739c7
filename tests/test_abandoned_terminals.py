"""Containers of terminals: what attendants that were killed have left is removed, nothing else."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import pytest
from full_redis import full

from enclave.errors import StoreUnavailable
from enclave.store import Store
from enclave.store.visits import NOTED_SECONDS
from worker.attendant.abandoned_terminals import AbandonedTerminals
from worker.runtime import LABEL_OPERATION, LABEL_VISIT, Container


class Scene:
    """Two containers of terminals, of the operations 1 and 2, an attendant, and the time."""

    def __init__(self, store: Store) -> None:
        self.store, self.now = store, 0.0
        self.served: Counter[int] = Counter()
        self.present = [
            Container(name, name, {LABEL_OPERATION: name, LABEL_VISIT: "ours"}, True, "image")
            for name in ("1", "2")
        ]
        scene = cast(Any, self)
        self.abandoned = AbandonedTerminals(store, scene, "ours", scene, clock=lambda: self.now)

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        assert labels == {LABEL_VISIT: "ours"}
        return list(self.present)

    def remove(self, container: Container) -> None:
        self.present.remove(container)

    def serves(self, operation_id: int) -> bool:
        return self.served[operation_id] > 0

    def look(self, *, after: float = 0) -> list[str]:
        """Return what is left after a look, so many seconds later."""
        self.now += after
        self.abandoned.remove()
        return [each.name for each in self.present]


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def test_what_nobody_serves_goes_at_a_second_look(scene: Scene) -> None:
    scene.store.visits.note(1)
    assert scene.look() == ["1", "2"]
    assert scene.look(after=NOTED_SECONDS - 1) == ["1", "2"]
    assert scene.look(after=1) == ["1"]


def test_a_note_that_comes_again_saves_it(scene: Scene) -> None:
    scene.look()
    for operation in (1, 2):
        scene.store.visits.note(operation)
    assert scene.look(after=NOTED_SECONDS) == ["1", "2"]
    scene.store.database.raw.delete("enclave:operation:1:visited")
    assert scene.look() == ["1", "2"]
    assert scene.look(after=NOTED_SECONDS) == ["2"]


def test_what_is_served_here_stays_without_any_note(scene: Scene) -> None:
    scene.served[2] += 1
    scene.look()
    assert scene.look(after=10 * NOTED_SECONDS) == ["2"]


def test_while_the_store_takes_no_note_nothing_goes(scene: Scene) -> None:
    scene.look()
    with full(scene.store):
        for _ in range(3):
            with suppress(StoreUnavailable):
                scene.look(after=NOTED_SECONDS)
    assert len(scene.present) == 2


def test_a_note_expires(store: Store) -> None:
    store.visits.note(1)
    assert store.visits.is_open(1)
    assert 0 < store.database.raw.ttl("enclave:operation:1:visited") <= NOTED_SECONDS
