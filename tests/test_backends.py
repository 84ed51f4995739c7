"""What is done to a backend's slots so that exactly the wanted targets get new requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.route import Target
from router.backends import (
    Agreement,
    Server,
    State,
    agreement,
    backend_name,
    endpoint_of,
    slots_for,
)

A, B, C = (Target(f"10.64.0.{last}", 8080) for last in (2, 3, 4))
EMPTY = Target("127.0.0.1", 1)


def slots(*states: tuple[State, Target]) -> list[Server]:
    return [Server(f"s{at}", target, state) for at, (state, target) in enumerate(states, 1)]


READY_A, DRAIN_A, OUT_A = (State.READY, A), (State.DRAIN, A), (State.MAINT, A)
FREE = (State.MAINT, EMPTY)


@pytest.mark.parametrize(
    ("servers", "wanted", "expected"),
    [
        (slots(READY_A, FREE), [A], Agreement((), (), (), (), 0)),
        (slots(FREE, FREE), [A], Agreement((("s1", A),), (), (), (), 0)),
        (slots(READY_A, FREE), [B], Agreement((("s2", B),), (), ("s1",), ("s1",), 0)),
        (slots(READY_A, FREE), [], Agreement((), (), ("s1",), ("s1",), 0)),
        (slots(DRAIN_A, (State.READY, B)), [B], Agreement((), (), (), ("s1",), 0)),
        (slots(DRAIN_A, (State.READY, B)), [A], Agreement((), ("s1",), ("s2",), ("s2",), 0)),
        (slots(OUT_A, FREE), [A], Agreement((("s1", A),), (), (), (), 0)),
        (slots(READY_A, (State.READY, B)), [C], Agreement((), (), (), (), 1)),
        (slots(DRAIN_A, (State.READY, B)), [C], Agreement((), (), (), ("s1",), 1)),
        (slots(READY_A, READY_A), [A], Agreement((), (), ("s1",), ("s1",), 0)),
    ],
    ids=[
        *("right", "first", "switch", "none", "drains", "back", "known", "no-room"),
        *("no-room-while-draining", "doubled"),
    ],
)
def test_what_is_done(servers: list[Server], wanted: list[Target], expected: Agreement) -> None:
    assert agreement(servers, wanted) == expected


states = st.tuples(st.sampled_from(State), st.sampled_from([A, B, C, EMPTY]))


@given(st.lists(states, max_size=8), st.lists(st.sampled_from([A, B, C]), unique=True))
def test_once_done_nothing_is_left_to_do(
    given_states: list[tuple[State, Target]], wanted: list[Target]
) -> None:
    servers = slots(*given_states)
    done = agreement(servers, wanted)
    after = {server.slot: server for server in servers}
    for slot, target in done.fill:
        after[slot] = Server(slot, target, State.READY)
    for slot, state in [(s, State.READY) for s in done.ready] + [
        (s, State.DRAIN) for s in done.drain
    ]:
        after[slot] = Server(slot, after[slot].target, state)
    asked = sorted(str(s.target) for s in after.values() if s.state is State.READY)
    if not done.missing:
        assert asked == sorted(map(str, wanted))
        again = agreement(list(after.values()), wanted)
        assert (again.fill, again.ready, again.drain) == ((), (), ())
        assert set(again.draining) == set(done.draining)
    elif any(s.state is State.READY for s in servers):
        assert asked  # there is always somebody to ask


@pytest.mark.parametrize(("targets", "count"), [(0, 8), (1, 8), (4, 8), (5, 16), (9, 32)])
def test_room_for_the_next_ones(targets: int, count: int) -> None:
    assert slots_for(targets) == count


@pytest.mark.parametrize(
    ("name", "number"), [("e7", 7), ("unknown", None), ("e", None), ("7", None)]
)
def test_names(name: str, number: int | None) -> None:
    assert endpoint_of(name) == number
    assert number is None or backend_name(number) == name
