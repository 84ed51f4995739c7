"""Events that come again after a loss are shown once, whatever comes between."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from toolbelt import streams
from toolbelt.container_logs import follow_containers
from toolbelt.errors import Refused, ToolbeltError, Unreachable

APP = {
    "handle": "shop",
    "_embedded": {"services": [{}]},
    "_links": {"log_events": {"href": "/apps/1/logs/events"}},
}
END = {"end": "The app is deprovisioned."}


def line(text: str, index: int = 1) -> dict[str, Any]:
    return {"service": "web", "index": index, "time": f"at {text}", "line": text}


class Server:
    """Gives these streams, one a connection; each breaks, or is an error from the beginning."""

    def __init__(self, *streams: list[dict[str, Any]] | ToolbeltError) -> None:
        self._streams = iter(streams)
        self.asked: list[str | None] = []

    @contextmanager
    def lines(self, address: str, **query: str) -> Iterator[Iterator[str]]:
        self.asked.append(query.get("after"))
        stream = next(self._streams)
        if isinstance(stream, ToolbeltError):
            raise stream
        yield self._given(stream)

    def _given(self, stream: list[dict[str, Any]]) -> Iterator[str]:
        yield from (json.dumps(event) for event in stream)
        raise Unreachable("it broke")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_LONGEST_PAUSE_SECONDS", 0.0)


def shown(server: Server, capsys: pytest.CaptureFixture[str]) -> list[str]:
    follow_containers(server, APP, last=20, timestamps=False)  # type: ignore[arg-type]
    return [each.partition(" | ")[2] for each in capsys.readouterr().out.splitlines()]


def test_lines_behind_the_last_position_are_not_shown_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Server(
        [{"position": "p0"}, line("a"), {"position": "p1"}, line("b"), line("c")],
        [line("b"), line("new"), {"position": "p2"}, line("c"), line("newer")],
        [line("newer"), line("c"), {"position": "p3"}, line("last"), END],
    )
    assert shown(server, capsys) == ["a", "b", "c", "new", "newer", "last"]
    assert server.asked == [None, "p1", "p2"]


def test_the_same_words_of_another_moment_or_container_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tick = {**line("tick"), "time": "later"}
    server = Server(
        [{"position": "p0"}, line("tick")],
        [line("tick"), tick, line("tick", 2), line("tick"), END],
    )
    assert shown(server, capsys) == ["tick"] * 4


def test_a_deprovisioned_app_ends_it_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    follow_containers(Server([END]), APP, last=20, timestamps=False)  # type: ignore[arg-type]
    assert "The app is deprovisioned." in capsys.readouterr().err


def test_a_place_that_is_taken_is_waited_for_by_who_had_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = Refused("20 already follow", 429, "too_many_requests")
    assert shown(Server([line("a")], full, [line("a"), line("b"), END]), capsys) == ["a", "b"]
    with pytest.raises(Refused, match="already follow"):
        shown(Server(full), capsys)
