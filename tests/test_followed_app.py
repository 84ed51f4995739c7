"""Following what containers print: nothing lost, nothing twice, and what is gone is said to be."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from printing_engine import PrintingEngine, time

from enclave.log_position import Position
from worker.attendant.followed_app import GONE, HELD_BYTES, SOME_GONE, FollowedApp, Note
from worker.attendant.followed_container import AT_ONCE, Line
from worker.attendant.log_reading import LEFT_OUT
from worker.attendant.whole_lines import BEGUN_SECONDS, LONGEST_BYTES
from worker.runtime import Container
from worker.runtime.container_log import PART_BYTES, Entry, entries, since


def follow(
    engine: PrintingEngine, *, last: int = 20, after: FollowedApp | None = None
) -> FollowedApp:
    """Follow from the beginning, or, as one who was cut off, from where ``after`` is."""
    position = Position.read(after.position().text()) if after else None
    return FollowedApp(engine, {"app": "1"}, last=last, after=position)


def texts(followed: FollowedApp) -> list[str]:
    return [said(each) for each in followed.look()]


def said(found: Line | Note) -> str:
    return found.text if isinstance(found, Note) else f"{found.service}.{found.index} {found.text}"


def test_lines_of_all_containers_come_once_and_by_time() -> None:
    engine = PrintingEngine()
    web, clock = engine.add("web"), engine.add("clock")
    followed = follow(engine)
    engine.print(web, 1, "a\n")
    engine.print(clock, 2, "b\n")
    engine.print(web, 3, "c\n", stream=2)
    assert texts(followed) == ["web.1 a", "clock.1 b", "web.1 c"]
    assert engine.asked == {"app": "1"}
    assert texts(followed) == []
    engine.print(web, 3, "of the same time\n")
    engine.print(web, 4, "d\n")
    assert texts(followed) == ["web.1 of the same time", "web.1 d"]
    assert texts(followed) == []


def test_the_first_look_tells_the_last_lines_of_what_is_there() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    for number in range(50):
        engine.print(web, number, f"{number}\n")
    followed = follow(engine, last=2)
    assert texts(followed) == ["web.1 48", "web.1 49"]
    engine.print(web, 60, "next\n")
    assert texts(followed) == ["web.1 next"]


def test_nothing_of_before_is_told_to_who_wants_none() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    engine.print(web, 1, "old\n")
    followed = follow(engine, last=0)
    assert texts(followed) == []
    engine.print(web, 2, "new\n")
    assert texts(followed) == ["web.1 new"]


def test_new_containers_are_told_from_their_beginning_and_old_ones_leave() -> None:
    engine = PrintingEngine()
    old = engine.add("web")
    engine.print(old, 1, "old\n")
    followed = follow(engine, last=1)
    assert texts(followed) == ["web.1 old"]
    new = engine.add("web")
    for number in range(3):
        engine.print(new, 10 + number, f"{number}\n")
    engine.stop(old)
    assert texts(followed) == ["web.1 0", "web.1 1", "web.1 2"]
    engine.remove(old)
    assert texts(followed) == []


def test_containers_of_no_service_are_left_to_their_operation() -> None:
    engine = PrintingEngine()
    engine.present.append(Container("command", "command", {}, True, "image"))
    assert texts(follow(engine)) == []


def test_a_flood_is_told_whole() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    engine.print(web, 0, "first\n")
    assert texts(followed) == ["web.1 first"]
    for number in range(3 * AT_ONCE):
        engine.print(web, 1 + number, f"{number}\n")
    assert texts(followed) == [f"web.1 {number}" for number in range(3 * AT_ONCE)]
    assert texts(followed) == []


def test_a_quiet_container_costs_no_whole_log() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    for number in range(10 * AT_ONCE):
        engine.print(web, number, "x\n")
    followed = follow(engine, last=1)
    texts(followed)
    texts(followed)
    engine.answered = 0
    assert texts(followed) == []
    assert engine.answered == 1  # the entry at the mark


def test_what_the_engine_threw_away_is_said_to_be_left_out() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    engine.print(web, 1, "a\n")
    followed = follow(engine)
    assert texts(followed) == ["web.1 a"]
    engine.logs[web] = [Entry(time(9), 1, b"z\n")]
    assert texts(followed) == [f"web.1 {LEFT_OUT}", "web.1 z"]
    assert texts(followed) == []


def test_who_comes_again_hears_only_what_is_later() -> None:
    engine = PrintingEngine()
    web, clock = engine.add("web"), engine.add("clock")
    engine.print(web, 1, "known\n")
    engine.print(clock, 3, "known, too\n")
    followed = follow(engine)
    texts(followed)
    engine.print(web, 5, "new\n")
    engine.print(clock, 4, "also new\n")
    again = follow(engine, after=followed)
    assert texts(again) == ["clock.1 also new", "web.1 new"]
    engine.print(clock, 6, "newest\n")
    assert texts(again) == ["clock.1 newest"]


def test_a_line_that_the_engine_cut_is_made_whole() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    part = "x" * PART_BYTES
    engine.print(web, 1, part)
    engine.print(web, 1, "error\n", stream=2)
    assert texts(followed) == ["web.1 error"]
    assert texts(followed) == []
    engine.print(web, 1, "end\n")
    assert texts(followed) == [f"web.1 {part}end"]
    assert texts(followed) == []


def test_who_comes_again_in_the_midst_of_a_line_hears_it_whole_and_all_else_once() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    part = "x" * PART_BYTES
    engine.print(web, 1, part)
    engine.print(web, 2, "error\n", stream=2)
    assert texts(followed) == ["web.1 error"]
    engine.print(web, 1, "end\n")
    assert texts(follow(engine, after=followed)) == [f"web.1 {part}end"]


def test_a_line_without_end_comes_in_pieces() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    part = "x" * (LONGEST_BYTES // 4)
    for _ in range(9):
        engine.print(web, 1, part)
    assert texts(followed) == [f"web.1 {part * 4}"] * 2


def test_no_part_of_a_very_long_line_is_lost_between_two_looks() -> None:
    """All its parts are of one time, and more of them come at once than a look takes."""
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    told, parts = "", 2 * AT_ONCE
    for begin, end in ((0, 101), (101, parts)):
        for number in range(begin, end):
            engine.print(web, 5, f"{number:04}".ljust(PART_BYTES, "x"))
        told += "".join(texts(followed))
    engine.print(web, 5, "\n")
    told += "".join(texts(followed))
    assert [number for number in range(parts) if f"{number:04}x" not in told] == []
    assert len(told) < (parts + 1) * PART_BYTES


def test_last_words_need_no_end_and_stay_apart_from_the_next_life() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    engine.print(web, 1, "fatal: no config")
    assert texts(followed) == ["web.1 fatal: no config"]
    engine.print(web, 2, "up 1\n")
    assert texts(followed) == ["web.1 up 1"]


def test_last_words_that_look_like_the_part_of_a_line_come_when_no_more_can() -> None:
    part = "x" * PART_BYTES
    engine = PrintingEngine()
    stopped, restarted, talking = engine.add("stopped"), engine.add("restarted"), engine.add("talk")
    followed = follow(engine)
    for each in (stopped, restarted, talking):
        engine.print(each, 1, part)
    assert texts(followed) == []
    engine.stop(stopped)
    engine.print(restarted, 2, "up\n")
    engine.print(talking, 10**9 * BEGUN_SECONDS + 2, "on\n", stream=2)
    assert sorted(texts(followed)) == sorted(
        [
            *(f"stopped.1 {part}", f"restarted.1 {part}", f"talk.1 {part}"),
            *("restarted.1 up", "talk.1 on"),
        ]
    )
    assert texts(followed) == []


def test_an_entry_behind_a_later_one_of_the_other_stream_is_told() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    engine.print(web, 500, "error\n", stream=2)
    assert texts(followed) == ["web.1 error"]
    engine.print(web, 499, "a moment before\n")
    assert texts(followed) == ["web.1 a moment before"]


def test_who_is_cut_off_between_two_containers_loses_nothing() -> None:
    """One is read before the other: what both print meanwhile is told of one alone."""

    class Printing(PrintingEngine):
        @contextmanager
        def log(self, container: Container, **asked: Any) -> Iterator[Iterator[Entry] | None]:
            if container.id == clock and quiet and not self.logs[clock]:
                self.print(web, 1, "web\n")
                self.print(clock, 2, "clock\n")
            with super().log(container, **asked) as entries:
                yield entries

    engine = Printing()
    web, clock = engine.add("web"), engine.add("clock")
    quiet: list[str] = []
    followed = follow(engine)
    quiet.append(f"{texts(followed)} was told")
    told = texts(followed)
    assert told == ["clock.1 clock"]
    assert sorted(told + texts(follow(engine, after=followed))) == ["clock.1 clock", "web.1 web"]


@pytest.mark.parametrize("taken", [1, 500, 900])
def test_who_is_cut_off_in_a_flood_loses_nothing_and_hears_nothing_twice(taken: int) -> None:
    engine = PrintingEngine()
    flood, calm = engine.add("flood"), engine.add("calm")
    followed = follow(engine)
    texts(followed)
    for number in range(1, 1001):
        engine.print(flood, number // 3, f"{number}\n", stream=1 + number % 2)
    looking = followed.look()
    told = [said(next(looking)) for _ in range(taken)]
    engine.print(calm, 100, "calm\n")
    again = texts(follow(engine, after=followed))
    assert told + [line for line in again if line != "calm.1 calm"] == [
        f"flood.1 {number}" for number in range(1, 1001)
    ]
    assert "calm.1 calm" in again


def test_what_was_thrown_away_while_nobody_followed_is_said_to_be_left_out() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    engine.print(web, 1, "a\n")
    followed = follow(engine)
    texts(followed)
    engine.logs[web] = [Entry(time(9), 1, b"z\n")]
    assert texts(follow(engine, after=followed)) == [f"web.1 {LEFT_OUT}", "web.1 z"]


def test_lines_that_went_with_their_container_are_said_to_be_left_out() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    engine.print(web, 1, "last words\n")
    engine.remove(web)
    assert texts(followed) == [f"web.1 {GONE}"]
    assert texts(followed) == []


@pytest.mark.parametrize("stopped", [True, False])
def test_who_comes_again_hears_that_a_container_went_unless_it_was_told_whole(
    *, stopped: bool
) -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    engine.print(web, 1, "a\n")
    if stopped:
        engine.stop(web)
    followed = follow(engine)
    texts(followed)
    engine.remove(web)
    again = follow(engine, after=followed)
    assert texts(again) == ([] if stopped else [SOME_GONE])
    assert texts(again) == []


def test_the_first_look_holds_no_more_than_it_may() -> None:
    """Whatever the containers print, and whoever asks for all of it at once and takes nothing."""
    engine = PrintingEngine()
    for index in range(4):
        container = engine.add("web", index)
        for number in range(400):
            engine.print(container, number, "x" * (PART_BYTES - 1) + "\n")
    followed = follow(engine, last=1000)
    tracemalloc.start()
    try:
        looking = followed.look()
        next(looking)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * HELD_BYTES
    assert 1 + sum(1 for _ in looking) == 1600


def test_what_only_a_terminal_obeys_is_taken_out() -> None:
    engine = PrintingEngine()
    web = engine.add("web")
    engine.print(web, 1, "\x1b[31mred\x1b[0m\x1b]0;title\x07 \r\n")
    engine.print(web, 2, "10%\r20%\n")
    assert texts(follow(engine)) == ["web.1 red ", "web.1 20%"]


def test_entries_are_frames_with_a_time_in_front() -> None:
    frames = [(1, b"2026-01-02T03:04:05.000000006Z a b\n"), (2, b"2026-01-02T03:04:06.5Z c")]
    assert list(entries(frames)) == [
        Entry("2026-01-02T03:04:05.000000006Z", 1, b"a b\n"),
        Entry("2026-01-02T03:04:06.5Z", 2, b"c"),
    ]


def test_since_is_in_seconds_and_nanoseconds() -> None:
    assert since("1970-01-01T00:01:00.000000006Z") == "60.000000006"
    assert since("1970-01-01T00:00:00Z") == "0.000000000"
