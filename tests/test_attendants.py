"""The line between receivers and attendants: who may be at its ends, and what when nobody is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, cast

import asyncssh
import pytest
from cryptography.fernet import Fernet

from enclave.attending import FollowContainers, line_key, read_request, write_request
from enclave.errors import AttendantsAway, InvalidInput, StoreUnavailable, TooManyRequests
from enclave.sealing import Sealer
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.followers import MOST_FOLLOWERS
from receiver import attendants as attendants_module
from receiver.attendants import Attendants
from worker.attendant.line import Line

REQUEST = FollowContainers(41, last=3)
SECONDS = 20


class Echo:
    """Answers a session with what was asked, then waits for the receiver to leave."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        request = read_request(process.command or "")
        assert isinstance(request, FollowContainers)
        assert request.follower
        process.stdout.write(f"{replace(request, follower='')}\n".encode())
        await process.wait_closed()
        self.left.set()


@asynccontextmanager
async def receiver(store: Store) -> AsyncIterator[Attendants]:
    listening = Attendants(store, Settings())
    await listening.start()
    try:
        yield listening
    finally:
        listening.close()


@asynccontextmanager
async def attendant(store: Store, echo: Echo) -> AsyncIterator[None]:
    line = Line(store, echo)

    async def answer() -> None:
        async with asyncio.TaskGroup() as calls:
            async for address in store.calls.heard():
                calls.create_task(line.dial(address))

    answering = asyncio.create_task(answer())
    try:
        yield
    finally:
        answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering


def run(story: object) -> None:
    async def within() -> None:
        async with asyncio.timeout(SECONDS):
            await story  # type: ignore[misc]

    asyncio.run(within())


def test_a_session_is_answered_and_ends_with_the_reader(store: Store) -> None:
    async def story() -> None:
        echo = Echo()
        async with receiver(store) as listening, attendant(store, echo):
            async with listening.followed(REQUEST) as lines:
                assert await anext(lines) == f"{REQUEST}\n".encode()
            await echo.left.wait()

    run(story())


def test_several_sessions_at_once_have_a_line_each(store: Store) -> None:
    async def story() -> None:
        async def ask(listening: Attendants, app_id: int) -> bytes:
            async with listening.followed(FollowContainers(app_id)) as lines:
                return await anext(lines)

        async with receiver(store) as one, receiver(store) as two, attendant(store, Echo()):
            answers = await asyncio.gather(*(ask([one, two][n % 2], n) for n in range(12)))
        assert answers == [f"{FollowContainers(n)}\n".encode() for n in range(12)]

    run(story())


def test_without_an_attendant_it_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendants_module, "CALL_SECONDS", 0.05)

    async def story() -> None:
        async with receiver(store) as listening:
            with pytest.raises(AttendantsAway, match="enclave attendant"):
                async with listening.session(REQUEST):
                    pass

    run(story())


def test_a_call_that_died_with_its_attendant_is_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendants_module, "CALL_SECONDS", 0.5)

    async def story() -> None:
        async with receiver(store) as listening:
            heard = store.calls.heard()
            asking = asyncio.create_task(_first_line(listening))
            await anext(heard)  # and nobody dials
            await heard.aclose()  # type: ignore[attr-defined]
            async with attendant(store, Echo()):
                assert await asking == f"{REQUEST}\n".encode()

    run(story())


def test_who_comes_although_the_calls_answer_was_lost_is_sent_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with receiver(store) as listening:
            line, heard = Line(store, cast(Any, Echo())), store.calls.heard()
            make, loop = store.calls.make, asyncio.get_running_loop()
            dialled: list[asyncio.Future[None]] = []

            def make_and_lose(address: str) -> None:
                make(address)
                asyncio.run_coroutine_threadsafe(arrive(), loop).result(10)
                raise StoreUnavailable("the answer was lost")

            async def arrive() -> None:
                dialled.append(asyncio.ensure_future(line.dial(await anext(heard))))
                while listening._waiting:
                    await asyncio.sleep(0.01)

            monkeypatch.setattr(store.calls, "make", make_and_lose)
            with pytest.raises(StoreUnavailable):
                await _first_line(listening)
            await dialled[0]  # ends when the receiver hangs up

    run(story())


@pytest.mark.parametrize("who", ["attendant", "receiver"])
def test_who_has_another_key_gets_no_line(
    store: Store, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Whoever listens or dials: neither end believes a stranger."""
    monkeypatch.setattr(attendants_module, "CALL_SECONDS", 0.5)
    stranger = Sealer([Fernet.generate_key().decode()])

    async def story() -> None:
        echo = Echo()
        line, listening = Line(store, echo), Attendants(store, Settings())
        ours = store.sealer
        try:
            store.sealer = stranger
            if who == "attendant":
                line = Line(store, echo)
            else:
                listening = Attendants(store, Settings())
                await listening.start()
        finally:
            store.sealer = ours
        if who == "attendant":
            await listening.start()
        asking = asyncio.create_task(_first_line(listening))
        heard = store.calls.heard()
        await line.dial(await anext(heard))
        with pytest.raises(AttendantsAway):
            await asking
        listening.close()

    run(story())


async def _first_line(listening: Attendants) -> bytes:
    async with listening.followed(REQUEST) as lines:
        return await anext(lines)


def test_the_key_is_the_installations_own(store: Store) -> None:
    def public(sealer: Sealer) -> bytes:
        return asyncssh.import_private_key(line_key(sealer)).public_data

    assert public(store.sealer) == public(store.sealer)
    assert public(store.sealer) != public(Sealer([Fernet.generate_key().decode()]))


@pytest.mark.parametrize("command", ["", "sh", "containers", "containers {", "containers {}"])
def test_what_is_no_request_is_refused_in_words(command: str) -> None:
    with pytest.raises(InvalidInput, match="of one version"):
        read_request(command)


def test_a_request_is_read_as_it_was_written() -> None:
    request = FollowContainers(3, last=0, after="AQAAAAAAAAAA", follower="a")
    assert read_request(write_request(request)) == request


def test_lines_end_when_their_attendant_dies(store: Store) -> None:
    class Dying(Echo):
        async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
            process.stdout.write(b"one\n")
            await process.stdout.drain()
            process.channel.get_connection().abort()

    async def story() -> None:
        async with receiver(store) as listening, attendant(store, Dying()):
            async with listening.followed(REQUEST) as lines:
                assert [line async for line in lines] in ([], [b"one\n"])
            assert not store.followers.any(REQUEST.app_id)

    run(story())


def test_no_more_follow_an_app_than_there_are_places(store: Store) -> None:
    async def story() -> None:
        echo = Echo()
        async with receiver(store) as listening, attendant(store, echo):
            for _ in range(MOST_FOLLOWERS - 1):
                store.followers.join(REQUEST.app_id)
            async with listening.followed(REQUEST):
                with pytest.raises(TooManyRequests):
                    await _first_line(listening)
            assert await _first_line(listening)

    run(story())


def test_lines_longer_than_any_buffer_come_whole(store: Store) -> None:
    """64 KiB of what is no text are six times as long in JSON."""

    class Long(Echo):
        async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
            for letter in (b"a", b"b"):
                process.stdout.write(letter * 500_000 + b"\n")
                await process.stdout.drain()
            process.exit(0)

    async def story() -> None:
        async with (
            receiver(store) as listening,
            attendant(store, Long()),
            listening.followed(REQUEST) as lines,
        ):
            assert [line async for line in lines] == [
                letter * 500_000 + b"\n" for letter in (b"a", b"b")
            ]

    run(story())
