"""Tells those who follow an operation what it waits for, for as long as it waits."""

from __future__ import annotations

from dataclasses import dataclass

from enclave.errors import NotFound
from enclave.operation import OperationStatus
from enclave.store import Store

LOOK_SECONDS = 2.0
"""Between two looks at the queue."""


@dataclass(frozen=True, slots=True)
class Word:
    """A line for the follower, empty for none. ``moved``: the queue did, not only the clock.

    ``place`` is the same as long as the queue did not move, for every follower: how many are ahead,
    and the id of the last of them, 0 for none.
    """

    text: str
    moved: bool
    place: tuple[int, int] = (0, 0)


class Waiting:
    """One follower's view of one operation's place in its queue."""

    def __init__(self, store: Store, operation_id: int) -> None:
        self._store, self._operation_id = store, operation_id
        self._known: tuple[int, int] | None = None  # the place that was told last
        self._looked = False

    def look(self) -> Word | None:
        """Return what to tell now, None as soon as it waits no longer.

        Raises ``StoreUnavailable``.
        """
        operation = self._store.operations.operation(self._operation_id)
        if operation.status is not OperationStatus.QUEUED:
            return None
        try:
            place = self._store.operations.place(operation)
        except NotFound:
            place = None
        if place is None:
            return None
        looked, self._looked = self._looked, True
        if place.ahead is None and not looked:
            return Word("", moved=False)  # a worker that is free takes it at this moment
        now = (place.position, place.ahead.id if place.ahead else 0)
        moved, self._known = now != self._known, now
        return Word(place.words, moved, now)
