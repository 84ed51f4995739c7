"""Positions in what an app's containers print: written, read, and never too long for a query."""

import pytest

from enclave.errors import InvalidInput
from enclave.log_position import (
    LONGEST_TEXT,
    MOST_CONTAINERS,
    Mark,
    Place,
    Position,
    nanoseconds,
    time_of,
)


def at(number: int) -> str:
    return f"2026-01-02T03:04:05.{number:09}Z"


def container(number: int) -> str:
    return f"{number:064x}"[::-1]


@pytest.mark.parametrize(
    "position",
    [
        Position(),
        Position(floor=at(7)),
        Position({container(1)[:12]: Place()}),
        Position({container(1)[:12]: Place(Mark(at(1), 3), Mark(at(2), 0), over=True)}, at(9)),
    ],
    ids=["nothing", "floor", "nothing of it", "both streams"],
)
def test_it_is_read_as_it_was_written(position: Position) -> None:
    assert Position.read(position.text()) == position


@pytest.mark.parametrize("text", ["", "now", "AA", "_" * 12, "AQ" * 5, "é", at(1), "A A", "=" * 4])
def test_what_is_none_is_refused_with_words(text: str) -> None:
    with pytest.raises(InvalidInput, match="`after` is no position"):
        Position.read(text)


def test_containers_are_known_by_the_beginning_of_their_ids() -> None:
    place = Place(Mark(at(1), 1))
    position = Position.read(Position({container(1): place}).text())
    assert position.place(container(1)) == place
    assert position.place(container(2)) == Place()
    assert not position.missing([container(1), container(2)])
    assert position.missing([container(2)])


def test_of_very_many_containers_the_quietest_share_a_time() -> None:
    """What they told is known; what they print from now on will be later."""
    places = {container(n): Place(Mark(at(n), 2)) for n in range(MOST_CONTAINERS + 9)}
    text = Position(places).text()
    assert len(text) <= LONGEST_TEXT < 8000
    position = Position.read(text)
    assert position.place(container(9)) == places[container(9)]
    quiet = position.place(container(0))
    assert quiet.out == quiet.err == Mark(at(9), 0)  # behind at(8), the last of the quiet ones


@pytest.mark.parametrize("time", [at(0), at(123456789), "1970-01-01T00:00:00.000000001Z"])
def test_times_are_nanoseconds(time: str) -> None:
    assert time_of(nanoseconds(time)) == time
