"""A pusher who follows a deploy through a store that is away now and then."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from enclave.errors import StoreUnavailable
from enclave.operation import OperationStatus
from enclave.store import Store
from enclave.store.logs import LogEntry
from receiver import follow
from receiver.report import Report

QUIET = cast(
    Report,
    SimpleNamespace(keep_alive=lambda: None, say=lambda _: None, replace=lambda _: None),
)


class Logs:
    """Serves well for ``seconds``, then is away for a question, again and again."""

    def __init__(self, clock: list[float], *, seconds: float, times: int) -> None:
        self._clock, self._seconds, self._left = clock, seconds, times

    def follow(self, *_: object, **__: object) -> Iterator[LogEntry | None]:
        if self._left == 0:
            yield LogEntry("1-1", end=OperationStatus.SUCCEEDED)
        self._left -= 1
        if self._seconds:
            self._clock[0] += self._seconds
            yield None
        self._clock[0] += 1
        raise StoreUnavailable("away")

    def is_kept(self, _: int) -> bool:
        return True


def store_with(logs: Logs) -> Store:
    running = SimpleNamespace(status=OperationStatus.RUNNING)
    operations = SimpleNamespace(operation=lambda _: running)
    return cast(Store, SimpleNamespace(logs=logs, operations=operations))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(follow.time, "monotonic", lambda: now[0])
    return now


def test_outages_with_good_service_between_end_nothing(clock: list[float]) -> None:
    store = store_with(Logs(clock, seconds=90, times=5))
    follow.follow_operation(store, 1, QUIET, silence=5)


def test_a_store_that_stays_away_is_given_up(clock: list[float]) -> None:
    store = store_with(Logs(clock, seconds=0, times=1000))
    with pytest.raises(StoreUnavailable):
        follow.follow_operation(store, 1, QUIET, silence=5)
    assert 60 < clock[0] - 100 < 70
