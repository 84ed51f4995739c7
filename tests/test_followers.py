"""Who follows an app's containers: so many at a time, each until it leaves or says no more."""

import pytest

from enclave.errors import TooManyRequests
from enclave.store import Store, keys
from enclave.store.followers import MOST_FOLLOWERS, NOTED_SECONDS


def test_there_are_so_many_places_in_each_app(store: Store) -> None:
    followers = store.followers
    here = [followers.join(1) for _ in range(MOST_FOLLOWERS)]
    with pytest.raises(TooManyRequests, match=f"{MOST_FOLLOWERS} already follow"):
        followers.join(1)
    followers.join(2)
    followers.note(1, here[0])  # who is there may say so again
    followers.leave(1, here[0])
    followers.join(1)
    with pytest.raises(TooManyRequests):
        followers.join(1)


def test_a_place_is_free_when_nobody_speaks_of_it(store: Store) -> None:
    followers = store.followers
    here = [followers.join(1) for _ in range(MOST_FOLLOWERS)]
    store.database.raw.zincrby(keys.followers(1), -NOTED_SECONDS - 1, here[0])
    followers.join(1)


def test_an_app_is_followed_until_the_last_one_leaves(store: Store) -> None:
    followers = store.followers
    assert not followers.any(1)
    one, other = followers.join(1), followers.join(1)
    followers.leave(1, one)
    assert followers.any(1)
    assert 0 < store.database.raw.ttl(keys.followers(1)) <= NOTED_SECONDS
    followers.leave(1, other)
    assert not followers.any(1)
