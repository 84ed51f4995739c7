"""Several things at once: in order, never too many, and none begun after a failure."""

import threading
from concurrent.futures import Future

import pytest

from worker.side_by_side import AT_A_TIME, side_by_side


def test_they_run_at_once_and_come_back_in_order() -> None:
    together = threading.Barrier(AT_A_TIME)

    def meet(number: int) -> int:
        together.wait(10)
        return number * 2

    assert side_by_side(meet, range(AT_A_TIME)) == [n * 2 for n in range(AT_A_TIME)]


def test_no_more_than_a_few_at_a_time() -> None:
    lock, running, most = threading.Lock(), 0, 0
    full = threading.Event()

    def fill(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == AT_A_TIME:
                full.set()
        assert full.wait(10)
        with lock:
            running -= 1

    side_by_side(fill, range(4 * AT_A_TIME))
    assert most == AT_A_TIME


def test_nothing_is_done_without_items() -> None:
    assert side_by_side(_fail, []) == []


def test_one_alone_runs_in_the_callers_own_thread() -> None:
    assert side_by_side(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]


def test_their_threads_have_the_callers_name() -> None:
    names = side_by_side(lambda _: threading.current_thread().name, [1, 2])
    assert names == [threading.current_thread().name] * 2


def test_the_first_failure_in_order_is_raised_once_all_under_way_have_ended() -> None:
    begun, failed, ended = threading.Barrier(4), threading.Event(), list[int]()

    def do(number: int) -> None:
        begun.wait(10)
        if number == 2:
            failed.set()
            raise ValueError(number)
        assert failed.wait(10)
        if number == 1:
            raise ValueError(number)
        ended.append(number)

    with pytest.raises(ValueError, match="1"):
        side_by_side(do, range(4))
    assert sorted(ended) == [0, 3]


def test_none_is_begun_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[int]()
    seen = threading.Event()
    cancel = Future.cancel

    def cancelled(call: Future[None]) -> bool:
        gone = cancel(call)
        seen.set()  # the failure was seen: those under way may end
        return gone

    def do(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError("broken")
        assert seen.wait(10)

    monkeypatch.setattr(Future, "cancel", cancelled)
    with pytest.raises(ValueError, match="broken"):
        side_by_side(do, range(100))
    assert len(begun) < 100


def _fail(_: int) -> None:
    raise AssertionError("there was nothing to do")
