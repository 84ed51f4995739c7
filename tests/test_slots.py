"""Places for packs: a share a user, and the slow make room when others wait."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from enclave.errors import TooManyRequests
from receiver import slots
from receiver.slots import Slots
from receiver.wire import Wire


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(slots, "_LOOK_SECONDS", 0.01)


@pytest.fixture
def wires() -> Iterator[list[Wire]]:
    wires = [Wire() for _ in range(4)]
    yield wires
    for wire in wires:
        wire.close_handler_end()
        wire.transport_end.close()


def test_when_all_are_taken_one_waits_and_hears_that_it_is_not_forgotten(
    wires: list[Wire],
) -> None:
    places = Slots(1, share=1, slow=0)
    silent: list[float] = []
    with (
        places.taken(1, wires[0]),
        pytest.raises(TooManyRequests, match="try again in a minute"),
        places.taken(2, wires[1], silence=lambda: silent.append(0), every=0.05),
    ):
        pass
    assert len(silent) >= 2
    with places.taken(2, wires[1]):
        pass


def test_who_waits_goes_on_as_soon_as_there_is_room(wires: list[Wire]) -> None:
    places = Slots(1, share=1, slow=0)
    entered = threading.Event()

    def wait() -> None:
        with places.taken(2, wires[1]):
            entered.set()

    with places.taken(1, wires[0]):
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not entered.wait(0.1)
    waiter.join(5)
    assert entered.is_set()


def test_one_user_has_a_share(wires: list[Wire]) -> None:
    places = Slots(3, share=2, slow=0)
    with places.taken(1, wires[0]), places.taken(1, wires[1]):
        with pytest.raises(TooManyRequests), places.taken(1, wires[2]):
            pass
        with places.taken(2, wires[3]):
            pass


def test_the_slowest_makes_room(wires: list[Wire]) -> None:
    """The one that waits for its client, and not one that git is at work for."""
    places = Slots(3, share=3, slow=1000, grace=0.05)
    trickling, quick, working, newcomer = wires
    trickling.expecting = quick.expecting = True
    quick.moved(1 << 20)
    trickling.moved(10)
    with ExitStack() as held:
        for user, wire in enumerate((working, quick, trickling)):
            held.enter_context(places.taken(user, wire))
        time.sleep(0.06)
        with pytest.raises(TooManyRequests), places.taken(9, newcomer):
            pass
    assert "less than 1000 bytes a second, while others waited" in trickling.broken_off
    assert (quick.broken_off, working.broken_off) == ("", "")
    assert trickling.read(1) == b""


def test_nobody_is_hurried_while_there_is_room(wires: list[Wire]) -> None:
    places = Slots(2, share=2, slow=1000, grace=0.05)
    wires[0].expecting = True
    with places.taken(1, wires[0]):
        time.sleep(0.06)
        with places.taken(2, wires[1]):
            pass
    assert wires[0].broken_off == ""


def test_a_pace_is_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("receiver.wire.time.monotonic", lambda: now)
    wire = Wire()
    for _ in range(60):
        now += 1
        wire.moved(5000)
    assert wire.pace == pytest.approx(5000, rel=0.2)
    now += 60
    assert wire.pace < 1
    wire.close_handler_end()
    wire.transport_end.close()
