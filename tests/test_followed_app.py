"""Following what containers print: nothing lost, nothing twice, and what is gone is said to be."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from worker.attendant.followed_app import FollowedApp
from worker.attendant.followed_container import AT_ONCE, LEFT_OUT
from worker.attendant.whole_lines import LONGEST_BYTES
from worker.runtime import LABEL_INDEX, LABEL_SERVICE, Container
from worker.runtime.container_log import Entry, entries, since

SECOND = "2026-01-02T03:04:05."


def time(number: int) -> str:
    return f"{SECOND}{number:09}Z"


class Engine:
    """Containers with logs in memory, which answer as the Docker Engine does."""

    def __init__(self) -> None:
        self.present: list[Container] = []
        self.logs: dict[str, list[Entry]] = {}
        self.answered = 0

    def add(self, service: str, index: int = 1) -> str:
        identifier = f"{service}.{index}.{len(self.logs)}"
        labels = {LABEL_SERVICE: service, LABEL_INDEX: str(index)}
        self.present.append(Container(identifier, identifier, labels, True, "image"))
        self.logs[identifier] = []
        return identifier

    def print(self, container: str, number: int, text: str, stream: int = 1) -> None:
        self.logs[container].append(Entry(time(number), stream, text.encode()))

    def remove(self, container: str) -> None:
        self.present = [each for each in self.present if each.id != container]
        self.logs[container] = []

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        assert labels == {"app": "1"}
        return self.present

    @contextmanager
    def log(
        self, container: Container, *, since: str = "", last: int | None = None
    ) -> Iterator[Iterator[Entry]]:
        kept = [each for each in self.logs[container.id] if each.time >= since]
        given = kept if last is None else kept[-last:]
        self.answered += len(given)
        yield iter(given)


def follow(engine: Engine, *, last: int = 20, after: str = "") -> FollowedApp:
    return FollowedApp(engine, {"app": "1"}, last=last, after=after)


def texts(followed: FollowedApp) -> list[str]:
    return [f"{line.service}.{line.index} {line.text}" for line in followed.look()]


def test_lines_of_all_containers_come_once_and_by_time() -> None:
    engine = Engine()
    web, clock = engine.add("web"), engine.add("clock")
    followed = follow(engine)
    engine.print(web, 1, "a\n")
    engine.print(clock, 2, "b\n")
    engine.print(web, 3, "c\n", stream=2)
    assert texts(followed) == ["web.1 a", "clock.1 b", "web.1 c"]
    assert texts(followed) == []
    engine.print(web, 3, "of the same time\n")
    engine.print(web, 4, "d\n")
    assert texts(followed) == ["web.1 of the same time", "web.1 d"]
    assert texts(followed) == []


def test_the_first_look_tells_the_last_lines_of_what_is_there() -> None:
    engine = Engine()
    web = engine.add("web")
    for number in range(50):
        engine.print(web, number, f"{number}\n")
    followed = follow(engine, last=2)
    assert texts(followed) == ["web.1 48", "web.1 49"]
    engine.print(web, 60, "next\n")
    assert texts(followed) == ["web.1 next"]


def test_nothing_of_before_is_told_to_who_wants_none() -> None:
    engine = Engine()
    web = engine.add("web")
    engine.print(web, 1, "old\n")
    followed = follow(engine, last=0)
    assert texts(followed) == []
    engine.print(web, 2, "new\n")
    assert texts(followed) == ["web.1 new"]


def test_new_containers_are_told_from_their_beginning_and_old_ones_leave() -> None:
    engine = Engine()
    old = engine.add("web")
    engine.print(old, 1, "old\n")
    followed = follow(engine, last=1)
    assert texts(followed) == ["web.1 old"]
    new = engine.add("web")
    for number in range(3):
        engine.print(new, 10 + number, f"{number}\n")
    engine.remove(old)
    assert texts(followed) == ["web.1 0", "web.1 1", "web.1 2"]


def test_containers_of_no_service_are_left_to_their_operation() -> None:
    engine = Engine()
    engine.present.append(Container("command", "command", {}, True, "image"))
    assert texts(follow(engine)) == []


def test_a_flood_is_told_whole() -> None:
    engine = Engine()
    web = engine.add("web")
    followed = follow(engine)
    engine.print(web, 0, "first\n")
    assert texts(followed) == ["web.1 first"]
    for number in range(3 * AT_ONCE):
        engine.print(web, 1 + number, f"{number}\n")
    assert texts(followed) == [f"web.1 {number}" for number in range(3 * AT_ONCE)]
    assert texts(followed) == []


def test_a_quiet_container_costs_no_whole_log() -> None:
    engine = Engine()
    web = engine.add("web")
    for number in range(10 * AT_ONCE):
        engine.print(web, number, "x\n")
    followed = follow(engine, last=1)
    texts(followed)
    engine.answered = 0
    assert texts(followed) == []
    assert engine.answered == 1  # the entry at the mark


def test_what_the_engine_threw_away_is_said_to_be_left_out() -> None:
    engine = Engine()
    web = engine.add("web")
    engine.print(web, 1, "a\n")
    followed = follow(engine)
    assert texts(followed) == ["web.1 a"]
    engine.logs[web] = [Entry(time(9), 1, b"z\n")]
    assert texts(followed) == [f"web.1 {LEFT_OUT}", "web.1 z"]
    assert texts(followed) == []


def test_who_comes_again_hears_only_what_is_later() -> None:
    engine = Engine()
    web, clock = engine.add("web"), engine.add("clock")
    engine.print(web, 1, "known\n")
    engine.print(web, 5, "new\n")
    engine.print(clock, 3, "known, too\n")
    engine.print(clock, 4, "also new\n")
    followed = follow(engine, last=1, after=time(3))
    assert texts(followed) == ["clock.1 also new", "web.1 new"]
    engine.print(clock, 6, "newest\n")
    assert texts(followed) == ["clock.1 newest"]


def test_a_line_that_the_engine_cut_is_made_whole() -> None:
    engine = Engine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    engine.print(web, 1, "one ")
    engine.print(web, 1, "error\n", stream=2)
    assert texts(followed) == ["web.1 error"]
    engine.print(web, 1, "line\n")
    assert texts(followed) == ["web.1 one line"]


def test_a_line_without_end_comes_in_pieces() -> None:
    engine = Engine()
    web = engine.add("web")
    followed = follow(engine)
    texts(followed)
    part = "x" * (LONGEST_BYTES // 4)
    for number in range(9):
        engine.print(web, number, part)
    assert texts(followed) == [f"web.1 {part * 4}"] * 2


def test_what_only_a_terminal_obeys_is_taken_out() -> None:
    engine = Engine()
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
