"""``/apps/N/logs/events``: who may read it, what it asks an attendant, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from api_app import ApiApp
from fastapi.testclient import TestClient

from api import container_logs
from enclave.attending import FollowContainers
from enclave.errors import AttendantsAway, EnclaveError, TooManyRequests
from enclave.log_position import LONGEST_TEXT, Mark, Place, Position
from enclave.people import Role
from enclave.store import Store

LINE = {"service": "web", "index": 1, "time": "2026-01-02T03:04:05.000000006Z", "line": "hello"}


class Output:
    """Gives some lines, with a pause in between, and knows whether its reader left."""

    def __init__(self) -> None:
        self.asked: list[FollowContainers] = []
        self.open = 0
        self.refusal: EnclaveError | None = None

    @asynccontextmanager
    async def followed(self, request: FollowContainers) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.refusal:
            raise self.refusal
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
    position = Position({"0123456789ab": Place(Mark(str(LINE["time"]), 1))}).text()
    events(shop.admin, f"{shop.path}/logs/events?last=5")
    events(shop.admin, f"{shop.path}/logs/events?after={position}")
    assert [(each.last, each.after) for each in output.asked] == [(5, ""), (20, position)]


@pytest.mark.parametrize(
    "query", ["last=-1", "last=1001", "after=now", "after=", f"after={'A' * (LONGEST_TEXT + 1)}"]
)
def test_what_is_no_place_in_a_log_is_refused(shop: ApiApp, output: Output, query: str) -> None:
    answer = shop.admin.get(f"{shop.path}/logs/events?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["message"]
    assert output.asked == []


def test_who_may_not_see_the_app_sees_no_output(shop: ApiApp, output: Output) -> None:
    stranger = shop.person(None)
    foreign = stranger.get(f"{shop.path}/logs/events")
    unknown = stranger.get("/apps/999999/logs/events")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert output.asked == []


def test_who_comes_when_all_places_are_taken_is_told_so(shop: ApiApp, output: Output) -> None:
    output.refusal = TooManyRequests("20 already follow", seconds=15)
    answer = shop.admin.get(f"{shop.path}/logs/events")
    assert answer.status_code == 429
    assert answer.json()["message"] == "20 already follow"
    assert answer.headers["Retry-After"] == "15"


def test_without_attendants_the_answer_says_so(shop: ApiApp, output: Output) -> None:
    output.refusal = AttendantsAway("nobody is there")
    answer = shop.admin.get(f"{shop.path}/logs/events")
    assert answer.status_code == 503
    assert answer.json()["error"] == "attendants_away"


@pytest.mark.parametrize("why", ["token", "role"])
def test_who_may_not_see_it_any_more_is_cut_off(
    shop: ApiApp, output: Output, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(container_logs, "PERMITTED_SECONDS", 0)
    reader, store = shop.person(Role.READ), shop.store
    user = store.people.user_by_email("read@example.com")
    during = output._lines

    async def lines() -> AsyncIterator[bytes]:
        async for line in during():
            yield line
            if why == "token":
                store.tokens.revoke(store.tokens.of_user(user)[0])
            else:
                store.members.remove_email(shop.environment.id, user.email)
            await asyncio.sleep(0.3)

    monkeypatch.setattr(output, "_lines", lines)
    told = events(reader, f"{shop.path}/logs/events")
    assert told[0] == LINE
    assert {"note": "the end"} not in told
    assert output.open == 0
    assert reader.get(f"{shop.path}/logs/events").status_code in (401, 404)
