"""Logs of operations at the terminal: so far, to the end, while they wait, when they are gone."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from terminal import Terminal

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import Operation, OperationRequest, OperationStatus, OperationType
from enclave.people import Role, User
from enclave.store import Store, keys
from enclave.store.leases import Ending, Lease
from enclave.tokens import issue_token
from testbed.processes import wait_until
from toolbelt import following, streams
from toolbelt.errors import ToolbeltError
from toolbelt.screen import TerminalOrFile

CLEAR = "\r\x1b[K"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SUCCEEDED = Ending(OperationStatus.SUCCEEDED, "Deploy succeeded.")
FAILED = Ending(OperationStatus.FAILED, "it broke")


@pytest.fixture
def user(store: Store) -> User:
    return store.people.create_user("me@example.com", "correct horse")


@pytest.fixture
def app(store: Store, user: User) -> App:
    environment = store.apps.create_environment("prod")
    store.people.set_role(user, environment.id, Role.ADMIN)
    return store.apps.create(environment, "web")


@pytest.fixture
def token(store: Store, user: User, served: str) -> str:
    return issue_token(store, user, url=served, seconds=60, scope="manage").access_token


@pytest.fixture
def me(served: str, token: str, tmp_path: Path) -> Terminal:
    home = tmp_path / "home"
    home.mkdir()
    me = Terminal(home, served)
    me.environment["APTIBLE_ACCESS_TOKEN"] = token
    return me


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server look at the queue often."""
    monkeypatch.setattr("api.logs.LOOK_SECONDS", 0.1)


def submit(store: Store, app: App, user: User) -> Operation:
    request = OperationRequest(app.id, OperationType.DEPLOY, user.id, user.email)
    return store.operations.submit(request, Changes())


def take(store: Store, app: App) -> Lease:
    lease = store.leases.take(app.id, holder="w1", seconds=60)
    assert lease is not None
    return lease


class TestTimes:
    @pytest.mark.parametrize("command", ["operation:logs", "operation:follow"])
    def test_each_line_begins_with_its_own_if_asked(
        self, me: Terminal, store: Store, app: App, user: User, command: str
    ) -> None:
        operation = submit(store, app, user)
        lease = take(store, app)
        store.logs.append(lease, ["one", "ünï two"])
        store.leases.finish(lease, SUCCEEDED)
        plain = me.says(f"{command} {operation.id}").splitlines()
        timed = me.says(f"{command} {operation.id} --timestamps").splitlines()
        assert plain == ["one", "ünï two", "INFO: Deploy succeeded."]
        for line, with_time in zip(plain, timed, strict=True):
            assert re.fullmatch(f"{TIME} {line}", with_time)
        assert timed == sorted(timed, key=lambda line: line[:24])


class TestALogThatIsNotKept:
    @pytest.mark.parametrize("ending", [SUCCEEDED, FAILED])
    def test_it_says_so_and_how_the_operation_ended(
        self, me: Terminal, store: Store, app: App, user: User, *, ending: Ending
    ) -> None:
        operation = submit(store, app, user)
        lease = take(store, app)
        store.logs.append(lease, ["one"])
        store.leases.finish(lease, ending)
        store.database.redis.delete(keys.operation_log(operation.id))
        gone = f"WARN: The log of operation {operation.id} is not kept any more."
        assert me.says(f"operation:logs {operation.id}") == f"{gone}\n"
        timed = me.says(f"operation:logs {operation.id} --timestamps").strip()
        assert re.fullmatch(f"{TIME} {re.escape(gone)}", timed)
        done = me.run(f"operation:follow {operation.id}")
        assert (done.returncode == 0) == (ending is SUCCEEDED)
        assert done.stdout == f"{gone}\n"

    def test_one_that_is_not_there_yet_is_empty(
        self, me: Terminal, store: Store, app: App, user: User
    ) -> None:
        operation = submit(store, app, user)
        assert me.says(f"operation:logs {operation.id}") == ""
        take(store, app)
        assert me.says(f"operation:logs {operation.id}") == ""


class TestOnATerminal:
    def test_progress_is_drawn_over(self, me: Terminal, store: Store, app: App, user: User) -> None:
        operation = submit(store, app, user)
        lease = take(store, app)
        screen = me.start_on_a_screen(f"operation:follow {operation.id}", columns=30)
        store.logs.append(lease, ["one"])
        screen.shows("one\n")
        for progress in ("10%", "20% " + "." * 100):
            store.logs.append(lease, [], progress=progress)
            screen.shows(progress[:4])
        store.logs.append(lease, ["two"])
        store.leases.finish(lease, SUCCEEDED)
        assert screen.ends() == 0
        drawn = f"10%{CLEAR}20% {'.' * 25}{CLEAR}"
        assert screen.written == f"one\n{drawn}two\nINFO: Deploy succeeded.\n"

    @pytest.mark.usefixtures("quick")
    def test_the_time_that_it_waits_is_drawn_over(
        self, me: Terminal, store: Store, app: App, user: User
    ) -> None:
        first, second = submit(store, app, user), submit(store, app, user)
        lease = take(store, app)
        screen = me.start_on_a_screen(f"operation:follow {second.id}", columns=200)
        ahead = f"INFO: queued behind operation {first.id} (deploy by me@example.com, running for "
        screen.shows(ahead)
        screen.shows(f"{CLEAR}{ahead.removeprefix('INFO: ')}")
        store.leases.finish(lease, FAILED)
        lease = take(store, app)
        store.logs.append(lease, ["begun"])
        store.leases.finish(lease, FAILED)
        assert screen.ends() == 1
        assert screen.written.count("\n") == 4  # what it waits for, what it says, how it ends
        failed = f"Operation #{second.id} failed."
        assert screen.written.endswith(f"{CLEAR}begun\nERROR: it broke\n{failed}\n")


class TestInAPipe:
    def test_there_is_no_progress(self, me: Terminal, store: Store, app: App, user: User) -> None:
        operation = submit(store, app, user)
        lease = take(store, app)
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(me.run, f"operation:follow {operation.id}")
            store.logs.append(lease, ["one"], progress="10%")
            wait_until(lambda: _followers(store) > 0, seconds=10, what="nobody follows")
            store.logs.append(lease, [], progress="20%")
            store.logs.append(lease, ["two"])
            store.leases.finish(lease, SUCCEEDED)
        assert following.result().stdout == "one\ntwo\nINFO: Deploy succeeded.\n"

    @pytest.mark.usefixtures("quick")
    def test_what_it_waits_for_comes_once_and_when_the_queue_moves(
        self, me: Terminal, store: Store, app: App, user: User
    ) -> None:
        _, second, third = (submit(store, app, user) for _ in range(3))
        lease = take(store, app)
        process = me.start(f"operation:follow {third.id}")
        assert process.stdout is not None
        by = "deploy by me@example.com"
        assert process.stdout.readline() == (
            f"INFO: queued behind operation {second.id} ({by}, waiting); position 2.\n"
        )
        store.leases.finish(lease, FAILED)
        lease = take(store, app)
        assert re.fullmatch(
            rf"INFO: queued behind operation {second.id} \({by}, running for \ds\); position 1.\n",
            process.stdout.readline(),
        )
        store.leases.finish(lease, FAILED)
        store.leases.finish(take(store, app), SUCCEEDED)
        rest, complaints = process.communicate(timeout=20)
        assert (process.returncode, rest) == (0, "INFO: Deploy succeeded.\n"), complaints

    def test_what_is_cancelled_while_it_waits_ends_at_once(
        self, me: Terminal, store: Store, app: App, user: User
    ) -> None:
        submit(store, app, user)
        waiting = submit(store, app, user)
        take(store, app)
        process = me.start(f"operation:follow {waiting.id}")
        assert process.stdout is not None
        assert "queued behind" in process.stdout.readline()
        me.says(f"operation:cancel {waiting.id}")
        rest, _ = process.communicate(timeout=20)
        assert (process.returncode, rest) == (1, "ERROR: Cancelled by me@example.com.\n")


class TestEvents:
    @pytest.fixture
    def client(self, served: str, token: str) -> Iterator[httpx.Client]:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=served, headers=headers, timeout=10) as client:
            yield client

    def test_progress_has_a_place_in_the_stream(
        self, client: httpx.Client, store: Store, app: App, user: User
    ) -> None:
        operation = submit(store, app, user)
        lease = take(store, app)
        store.logs.append(lease, ["one"], progress="10%")
        with client.stream("GET", f"/operations/{operation.id}/events") as answer:
            events = (json.loads(line) for line in answer.iter_lines())
            line, progress = next(events), next(events)
            assert line["line"] == "one"
            assert progress["progress"] == "10%"
            assert re.fullmatch(TIME, progress["time"])
        store.logs.append(lease, ["two"])
        store.leases.finish(lease, SUCCEEDED)
        address = f"/operations/{operation.id}/events?after={progress['id']}"
        resumed = [json.loads(each) for each in client.get(address).text.splitlines()]
        assert [each.get("line") for each in resumed[:-1]] == ["two", "INFO: Deploy succeeded."]
        assert resumed[-1]["end"] == "succeeded"

    @pytest.mark.usefixtures("quick")
    def test_what_waits_says_for_what(
        self, client: httpx.Client, store: Store, app: App, user: User
    ) -> None:
        first, second = submit(store, app, user), submit(store, app, user)
        lease = take(store, app)
        with client.stream("GET", f"/operations/{second.id}/events") as answer:
            events = (json.loads(line) for line in answer.iter_lines())
            word, again = next(events), next(events)
            assert word["queued"].startswith(f"queued behind operation {first.id} (deploy by me@")
            assert (word["moved"], again["moved"]) == (True, False)
            assert word["place"] == again["place"] == [1, first.id]
            assert "id" not in word  # no place in the log: whoever resumes asks for what is new
            store.leases.finish(lease, FAILED)
            store.leases.finish(take(store, app), FAILED)
            rest = [event for event in events if "id" in event]
        assert rest[0]["line"] == "ERROR: it broke"
        assert rest[-1]["end"] == "failed"

    @pytest.mark.usefixtures("quick")
    def test_a_worker_that_is_free_is_waited_for_without_words(
        self, client: httpx.Client, store: Store, app: App, user: User
    ) -> None:
        operation = submit(store, app, user)
        with client.stream("GET", f"/operations/{operation.id}/events") as answer:
            events = (json.loads(line) for line in answer.iter_lines())
            assert next(events) == {"keepalive": True}
            words = "queued until a worker is free"
            assert next(events) == {"queued": words, "moved": True, "place": [0, 0]}
            store.leases.finish(take(store, app), SUCCEEDED)
            assert [event["end"] for event in events if "end" in event] == ["succeeded"]


def _followers(store: Store) -> int:
    return sum("xread" in each["cmd"] for each in store.database.raw.client_list())


class _Cut:
    """A server that cuts every stream off; each has the next of some events."""

    def __init__(self, *streams: list[dict[str, object]]) -> None:
        self._streams = iter(streams)

    @contextmanager
    def lines(self, _: str, **__: str) -> Iterator[Iterator[str]]:
        yield (json.dumps(event) for event in next(self._streams))


def test_who_connects_again_while_it_waits_hears_only_what_is_new(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streams.time, "sleep", lambda _: None)

    def queued(seconds: int, place: tuple[int, int]) -> dict[str, object]:
        text = f"behind {place[1]}, running for {seconds}s"
        return {"queued": text, "moved": True, "place": list(place)}

    server = _Cut(
        [queued(1, (1, 7))],
        [{"keepalive": True}],
        [queued(9, (1, 7))],
        [queued(2, (1, 8))],
        [{"id": "1-0", "time": "", "end": "succeeded"}],
    )
    operation = {"id": 9, "_links": {"events": {"href": "/operations/9/events"}}}
    assert following.follow(cast(Any, server), operation, TerminalOrFile())
    assert capsys.readouterr().out == (
        "INFO: behind 7, running for 1s.\nINFO: behind 8, running for 2s.\n"
    )


def test_what_is_no_stream_of_ours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's maintenance page, say, with status 200."""
    now = [0.0]

    class Server:
        @contextmanager
        def lines(self, _: str, **__: str) -> Iterator[Iterator[str]]:
            yield iter(["<html>maintenance</html>"])

    def sleep(seconds: float) -> None:
        now[0] += seconds
        assert now[0] < 3600, "it tries for ever"

    monkeypatch.setattr(streams.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(streams.time, "sleep", sleep)
    operation = {"id": 1, "_links": {"events": {"href": "/operations/1/events"}}}
    with pytest.raises(ToolbeltError, match="goes on without you"):
        following.follow(cast(Any, Server()), operation, TerminalOrFile())
