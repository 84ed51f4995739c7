"""Calls for attendants: each for one of them, and none for ever."""

import asyncio

import pytest

from enclave.store import Store, calls, keys
from worker.attendant.main import answer_calls


def heard(store: Store, count: int) -> list[str]:
    async def story() -> list[str]:
        hearing = store.calls.heard()
        try:
            async with asyncio.timeout(20):
                return [await anext(hearing) for _ in range(count)]
        finally:
            await hearing.aclose()

    return asyncio.run(story())


def test_each_is_heard_once_the_oldest_first(store: Store) -> None:
    for address in ("here:1", "here:1", "there:2"):  # one receiver calls for two sessions
        store.calls.make(address)
    assert heard(store, 3) == ["here:1", "here:1", "there:2"]
    assert store.database.raw.zcard(keys.CALLS) == 0


def test_old_ones_go_though_new_ones_are_made(store: Store) -> None:
    store.calls.make("old:1")
    (old,) = store.database.raw.zrange(keys.CALLS, 0, -1)
    store.database.raw.zincrby(keys.CALLS, -calls.CALL_SECONDS - 1, old)
    store.calls.make("new:2")
    assert store.database.raw.zcard(keys.CALLS) == 1
    assert heard(store, 1) == ["new:2"]


def test_an_old_one_is_not_answered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.calls.make("old:1")
    (old,) = store.database.raw.zrange(keys.CALLS, 0, -1)
    store.database.raw.zincrby(keys.CALLS, -calls.CALL_SECONDS - 1, old)
    monkeypatch.setattr(calls, "CALL_SECONDS", 3600)
    store.calls.make("new:2")  # it clears nothing away
    monkeypatch.undo()
    assert heard(store, 1) == ["new:2"]


def test_a_call_is_left_to_others_while_all_places_are_taken(store: Store) -> None:
    class Line:
        def __init__(self) -> None:
            self.dialled: list[str] = []
            self.came, self.over = asyncio.Event(), asyncio.Event()

        async def dial(self, address: str) -> None:
            self.dialled.append(address)
            self.came.set()
            await self.over.wait()

    async def story() -> None:
        line, places = Line(), asyncio.Semaphore(1)
        async with asyncio.timeout(20), asyncio.TaskGroup() as sessions:
            answering = sessions.create_task(answer_calls(store, line, sessions, places))  # type: ignore[arg-type]
            await line.came.wait()
            line.came.clear()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.came.wait(), 0.3)
            assert store.database.raw.zcard(keys.CALLS) == 1
            line.over.set()
            await line.came.wait()
            assert line.dialled == ["here:1", "here:2"]
            answering.cancel()

    store.calls.make("here:1")
    store.calls.make("here:2")
    asyncio.run(story())
