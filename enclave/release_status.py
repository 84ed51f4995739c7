"""Which releases can still be gone back to: the newest few, and the live one (SPEC 6.9)."""

from __future__ import annotations

from enum import StrEnum

from enclave.errors import ReleaseExpired
from enclave.release import Release


class ReleaseStatus(StrEnum):
    """What ``aptible releases`` shows of a release."""

    LIVE = "live"
    KEPT = "kept"
    EXPIRED = "expired"


def last_expired(newest: int, kept: int) -> int:
    """Return the number up to which releases keep no image, when the ``kept`` newest do."""
    return max(newest - kept, 0)


def release_status(number: int, *, live: int | None, expired_through: int) -> ReleaseStatus:
    """Tell what a release is. ``expired_through`` is what the store recorded (``Images``).

    The record counts, not the setting of today: an image that was removed stays removed when more
    are kept later.
    """
    if number == live:
        return ReleaseStatus.LIVE
    return ReleaseStatus.EXPIRED if number <= expired_through else ReleaseStatus.KEPT


def check_not_expired(release: Release, *, live: int | None, expired_through: int) -> None:
    """Raise ``ReleaseExpired`` for a release that cannot be gone back to."""
    status = release_status(release.number, live=live, expired_through=expired_through)
    if status is ReleaseStatus.EXPIRED:
        raise ReleaseExpired(
            f"Release {release.number} has expired: only the newest releases keep their images. "
            f"Deploy its image again: aptible deploy --docker-image {release.image}"
        )
