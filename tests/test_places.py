"""Who may be connected: all together, from one address, and who makes room."""

import pytest

from enclave.errors import Misconfigured, TooManyRequests
from receiver import recent
from receiver.places import Place, Places, contains, networks, source_of


class Door:
    """Takes places, and notes who had to go."""

    def __init__(self, most: int = 4, *, a_source: int = 4, waiting: int = 1) -> None:
        self.places = Places(most, a_source=a_source, waiting=waiting, failures=3, logins=2)
        self.gone: list[str] = []

    def take(self, name: str, address: str = "", *, shared: bool = False) -> Place:
        def make_room() -> None:
            self.gone.append(name)

        return self.places.take(address or name, make_room, shared=shared)


def test_the_longest_unproved_makes_room() -> None:
    door = Door(3)
    door.take("a").prove()
    door.take("b")
    door.take("c")
    door.take("d")
    assert door.gone == ["b"]
    door.take("e")
    assert door.gone == ["b", "c"]


def test_who_has_proved_something_stays_and_the_next_is_refused() -> None:
    door = Door(2)
    places_ = [door.take(name) for name in "ab"]
    for place in places_:
        place.prove()
    with pytest.raises(TooManyRequests, match="too many connections at a time"):
        door.take("c")
    assert door.gone == []
    places_[0].prove(proved=False)
    door.take("c")
    assert door.gone == ["a"]


def test_one_address_makes_room_for_itself_only() -> None:
    door = Door(10, a_source=2)
    door.take("other")
    door.take("a", "10.0.0.1")
    door.take("b", "10.0.0.1").prove()
    door.take("c", "10.0.0.1").prove()
    assert door.gone == ["a"]
    with pytest.raises(TooManyRequests, match="from your address"):
        door.take("d", "10.0.0.1")
    door.take("d", "10.0.0.2")


def test_many_may_come_from_a_proxy() -> None:
    door = Door(10, a_source=1)
    for number in range(5):
        door.take(str(number), "10.0.0.1", shared=True).prove()
    assert door.gone == []


def test_a_place_that_was_left_is_free_and_once_only() -> None:
    door = Door(1)
    place = door.take("a")
    place.prove()
    for _ in range(2):
        place.leave()
    door.take("b").prove()
    place.leave()
    with pytest.raises(TooManyRequests):
        door.take("c")


def test_who_made_room_is_not_asked_again_and_has_left() -> None:
    door = Door(1)
    first = door.take("a")
    door.take("b")
    first.leave()
    door.take("c")
    assert door.gone == ["a", "b"]


def test_a_push_that_waits_for_its_deploy_counts_apart() -> None:
    door = Door(1, waiting=1)
    first = door.take("a")
    first.prove()
    with first.waiting():
        second = door.take("b")
        second.prove()
        with pytest.raises(TooManyRequests, match="wait for their deploys"), second.waiting():
            pass
        with pytest.raises(TooManyRequests):
            door.take("c")
    second.leave()
    assert door.gone == []
    with pytest.raises(TooManyRequests):
        door.take("d")  # the first counts again: its connection is still there
    first.leave()
    third = door.take("e")
    with third.waiting():
        third.leave()
    door.take("f").prove()


def test_too_many_failures_close_the_door_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(recent.time, "monotonic", lambda: now)
    door = Door().places
    for _ in range(3):
        door.check_failures("10.0.0.1")
        door.failed("10.0.0.1")
        now += 10
    with pytest.raises(TooManyRequests, match="try again in 30s"):
        door.check_failures("10.0.0.1")
    door.check_failures("10.0.0.2")
    now += 30
    door.check_failures("10.0.0.1")


def test_logins_are_counted_apart_and_are_welcome_again_in_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(recent.time, "monotonic", lambda: now)
    door = Door().places
    for _ in range(2):
        door.log_in("10.0.0.1")
    for _ in range(5):  # those that were refused do not prolong it
        with pytest.raises(TooManyRequests, match="too many logins from your address") as refused:
            door.log_in("10.0.0.1")
        assert refused.value.seconds == 60.0 - now
        now += 10
    door.log_in("10.0.0.2")
    door.check_failures("10.0.0.1")
    now = 60.0
    door.log_in("10.0.0.1")


def test_failures_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_SOURCES", 2)
    door = Door().places
    for number in range(5):
        for _ in range(3):
            door.failed(f"10.0.0.{number}")
    door.check_failures("10.0.0.2")
    with pytest.raises(TooManyRequests):
        door.check_failures("10.0.0.4")


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.0.0.9", True), ("10.0.1.1", True), ("10.0.1.2", False), ("::1", True), ("", False)],
)
def test_a_proxy_is_named_by_address_or_network(address: str, *, inside: bool) -> None:
    assert contains(networks("10.0.0.0/24, 10.0.1.1,::1"), address) is inside
    assert not contains(networks(""), address)
    with pytest.raises(Misconfigured, match="ENCLAVE_PROXIES: 'nginx'"):
        networks("nginx")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("a name", "a name"),
    ],
)
def test_what_counts_as_one_source(address: str, source: str) -> None:
    assert source_of(address) == source
