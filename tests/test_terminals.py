"""Containers of terminals: what attendants that were killed have left is removed, nothing else."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from enclave.store import Store
from worker.attendant.terminals import Terminals
from worker.runtime import LABEL_OPERATION, LABEL_VISIT, Container


class Engine:
    """Two containers of terminals, of the operations 1 and 2."""

    def __init__(self) -> None:
        self.present = [
            Container(name, name, {LABEL_OPERATION: name, LABEL_VISIT: "ours"}, True, "image")
            for name in ("1", "2")
        ]

    def visited(self, labels: Mapping[str, str]) -> list[Container]:
        assert labels == {LABEL_VISIT: "ours"}
        return list(self.present)

    def remove(self, container: Container) -> None:
        self.present.remove(container)


@pytest.mark.parametrize("open_", [[], ["1"], ["1", "2"]], ids=len)
def test_only_what_nobody_serves_is_removed(store: Store, open_: list[str]) -> None:
    engine = Engine()
    for operation in open_:
        store.visits.note(int(operation))
    Terminals(store, cast(Any, engine), "ours").sweep()
    assert [each.name for each in engine.present] == open_


def test_a_note_expires_unless_it_is_repeated(store: Store) -> None:
    store.visits.note(1)
    assert store.visits.is_open(1)
    assert 0 < store.database.raw.ttl("enclave:operation:1:visited") <= 60
