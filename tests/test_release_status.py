"""Live, kept or expired: which releases can be gone back to."""

import pytest

from enclave.errors import ReleaseExpired
from enclave.release import Release
from enclave.release_status import check_not_expired, last_expired, release_status


@pytest.mark.parametrize(
    ("newest", "kept", "through"), [(0, 5, 0), (5, 5, 0), (6, 5, 1), (12, 5, 7), (3, 1, 2)]
)
def test_the_newest_few_keep_their_images(newest: int, kept: int, through: int) -> None:
    assert last_expired(newest, kept) == through


@pytest.mark.parametrize(
    ("number", "live", "status"),
    [(9, 9, "live"), (8, 9, "kept"), (4, 9, "kept"), (3, 9, "expired"), (3, 3, "live")],
)
def test_the_record_says_which(number: int, live: int, status: str) -> None:
    assert release_status(number, live=live, expired_through=3) == status


def test_of_a_pending_app_none_is_live() -> None:
    assert release_status(1, live=None, expired_through=0) == "kept"


def release(number: int) -> Release:
    fields = ("ann@example.com", "", "team/app:1", "pinned", "id", None, (), "")
    return Release(number, 1, 1, "1", *fields)


def test_a_refusal_says_how_to_go_on() -> None:
    with pytest.raises(ReleaseExpired, match=r"Release 3 has expired: .*--docker-image team/app:1"):
        check_not_expired(release(3), live=9, expired_through=3)
    check_not_expired(release(4), live=9, expired_through=3)
    check_not_expired(release(3), live=3, expired_through=3)
