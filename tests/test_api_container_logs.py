"""``/apps/N/logs/events``: who may read it, what it asks an attendant, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from api_app import ApiApp
from fastapi.testclient import TestClient

from enclave.attending import FollowContainers
from enclave.errors import AttendantsAway
from enclave.people import Role
from enclave.store import Store

LINE = {"service": "web", "index": 1, "time": "2026-01-02T03:04:05.000000006Z", "line": "hello"}


class Output:
    """Gives some lines, with a pause in between, and knows whether its reader left."""

    def __init__(self) -> None:
        self.asked: list[FollowContainers] = []
        self.open = 0
        self.away = False

    @asynccontextmanager
    async def followed(self, request: FollowContainers) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.away:
            raise AttendantsAway("nobody is there")
        self.asked.append(request)
        self.open += 1
        try:
            yield self._lines()
        finally:
            self.open -= 1

    async def _lines(self) -> AsyncIterator[bytes]:
        yield json.dumps(LINE).encode() + b"\n"
        await asyncio.sleep(0.3)
        yield b'{"note": "the end"}\n'


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def shop(store: Store, tmp_path: Path, output: Output) -> ApiApp:
    """One app, whose containers' output is ``output``, with keep-alives every 0.1 s."""
    made = ApiApp(store, tmp_path)
    house = made.api.state.house
    settings = house.settings.model_copy(update={"keepalive_seconds": 0.1})
    made.api.state.house = type(house)(store, settings, output)
    return made


def events(client: TestClient, address: str) -> list[dict[str, object]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_lines_come_with_keep_alives_in_silence(shop: ApiApp, output: Output) -> None:
    reader = shop.person(Role.READ)
    address = reader.get(shop.path).json()["_links"]["log_events"]["href"]
    told = events(reader, address)
    assert told[0] == LINE
    assert told[1] == {"keepalive": True}
    assert told[-1] == {"note": "the end"}
    assert output.asked == [FollowContainers(shop.created.id)]
    assert output.open == 0


def test_it_goes_on_where_the_reader_was(shop: ApiApp, output: Output) -> None:
    events(shop.admin, f"{shop.path}/logs/events?last=5")
    events(shop.admin, f"{shop.path}/logs/events?after={LINE['time']}")
    time = str(LINE["time"])
    assert [(each.last, each.after) for each in output.asked] == [(5, ""), (20, time)]


@pytest.mark.parametrize("query", ["last=-1", "last=1001", "after=now", "after=2026-01-02"])
def test_what_is_no_place_in_a_log_is_refused(shop: ApiApp, query: str) -> None:
    assert shop.admin.get(f"{shop.path}/logs/events?{query}").status_code == 422


def test_who_may_not_see_the_app_sees_no_output(shop: ApiApp, output: Output) -> None:
    stranger = shop.person(None)
    foreign = stranger.get(f"{shop.path}/logs/events")
    unknown = stranger.get("/apps/999999/logs/events")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert output.asked == []


def test_without_attendants_the_answer_says_so(shop: ApiApp, output: Output) -> None:
    output.away = True
    answer = shop.admin.get(f"{shop.path}/logs/events")
    assert answer.status_code == 503
    assert answer.json()["error"] == "attendants_away"
