"""Where an operation may be stopped: by whom, when, and what is done about what it had begun."""

import threading
import time

import pytest

from enclave.errors import (
    ContainerDied,
    HandedBack,
    LeaseLost,
    OperationCancelled,
    OperationFailed,
    OperationOverdue,
)
from worker.safe_points import SafePoints

CANCELLED = OperationCancelled("Cancelled.")


@pytest.fixture
def points() -> SafePoints:
    return SafePoints()


def later(what: object) -> None:
    timer = threading.Timer(0.1, what)  # type: ignore[arg-type]
    timer.daemon = True
    timer.start()


def test_what_is_not_stopped_returns_or_raises_as_it_would(points: SafePoints) -> None:
    assert points.attempt(lambda: 7) == 7

    def fail() -> None:
        raise ContainerDied("it died")

    with pytest.raises(ContainerDied):
        points.attempt(fail)
    points.check()


def test_a_stop_ends_a_wait_at_once(points: SafePoints) -> None:
    began = time.monotonic()
    later(lambda: points.stop(CANCELLED))
    with pytest.raises(OperationCancelled):
        points.attempt(lambda: threading.Event().wait(30))
    assert time.monotonic() - began < 5
    with pytest.raises(OperationCancelled):
        points.check()


def test_what_was_stopped_before_does_not_begin(points: SafePoints) -> None:
    points.stop(CANCELLED)
    with pytest.raises(OperationCancelled):
        points.attempt(lambda: pytest.fail("it began"))


def test_a_stop_goes_before_the_failure_that_its_undoing_makes(points: SafePoints) -> None:
    killed = threading.Event()

    def run() -> None:
        killed.wait(10)
        raise ContainerDied("it is gone")

    later(lambda: points.stop(CANCELLED))
    with pytest.raises(OperationCancelled):
        points.attempt(run, undo=killed.set)


def test_undoing_is_repeated_until_the_call_has_ended(points: SafePoints) -> None:
    """It may have been about to make what the first undoing did not find yet."""
    undone = 0
    enough = threading.Event()

    def undo() -> None:
        nonlocal undone
        undone += 1
        if undone == 1:
            raise OperationFailed("the Engine does not answer")
        if undone == 3:
            enough.set()

    later(lambda: points.stop(CANCELLED))
    with pytest.raises(OperationCancelled):
        points.attempt(lambda: enough.wait(30), undo=undo)
    assert undone == 3


def test_the_first_reason_counts_but_a_lost_lease_goes_before_all(points: SafePoints) -> None:
    points.stop(OperationOverdue("too slow"))
    points.stop(CANCELLED)
    with pytest.raises(OperationOverdue):
        points.check()
    points.stop(LeaseLost("lost"))
    with pytest.raises(LeaseLost):
        points.check()


def test_only_what_has_begun_nothing_is_handed_back(points: SafePoints) -> None:
    points.begin()
    points.stop(HandedBack("stopping"))
    points.check()
    other = SafePoints()
    other.stop(HandedBack("stopping"))
    with pytest.raises(HandedBack):
        other.begin()
