"""Which apps have asked for which image, and which of their releases have given theirs up.

An image (``Release.pinned``) is needed by the kept releases of apps and by operations that run:
that is judged from their own records (``worker/image_cleaning.py``). Kept here is only where to
look, and the word between one who is about to use an image and one who is about to remove it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from enclave.clock import boot_seconds
from enclave.errors import OperationFailed
from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_REMOVAL_SECONDS = 120  # a removal that takes longer is thought dead
_TRUSTED_SECONDS = 60.0  # within which it must begin to remove
_WAIT_SECONDS = 150.0
_POLL_SECONDS = 0.1


class Images:
    """Small records about images. Nothing here is a secret."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def hold(self, app_id: int, operation_id: int, pinned: str) -> None:
        """Have the image left alone until the operation has ended. To be called before a pull.

        Waits for one who is removing it just now; raises ``OperationFailed`` if that takes too
        long. Either he sees our hold, or we see his removal: Redis takes one after the other.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        while not self._held(app_id, operation_id, pinned):
            if time.monotonic() > deadline:
                raise OperationFailed(
                    f"{pinned} has been about to be removed for {_WAIT_SECONDS:g} s. Try again."
                )
            time.sleep(_POLL_SECONDS)

    def _held(self, app_id: int, operation_id: int, pinned: str) -> bool:
        script_keys = [
            keys.image_apps(pinned),
            keys.held_images(app_id),
            keys.image_removal(pinned),
        ]
        return self._database.run("hold_image", script_keys, [app_id, operation_id, pinned]) == 1

    def held(self, app_id: int) -> dict[int, str]:
        """Return the images that operations of the app hold or held: operation id -> pinned."""
        with unavailable_when_lost():
            found = self._redis.hgetall(keys.held_images(app_id))
        return {int(operation): pinned for operation, pinned in found.items()}

    def let_go(self, app_id: int, operation_ids: Iterable[int]) -> None:
        """Forget the holds of operations that have ended."""
        if ids := [str(each) for each in operation_ids]:
            with unavailable_when_lost():
                self._redis.hdel(keys.held_images(app_id), *ids)

    def apps(self, pinned: str) -> set[int]:
        """Return the apps that have held the image since it was pulled; one of them may need it."""
        with unavailable_when_lost():
            return {int(each) for each in self._redis.smembers(keys.image_apps(pinned))}

    def expired_through(self, app_id: int) -> int:
        """Return the number up to which releases have given up their images, 0 for none."""
        with unavailable_when_lost():
            return int(self._redis.zscore(keys.EXPIRED_RELEASES, str(app_id)) or 0)

    def expire(self, app_id: int, through: int) -> None:
        """Record that releases up to that number keep no image; it never goes back."""
        with unavailable_when_lost():
            self._redis.zadd(keys.EXPIRED_RELEASES, {str(app_id): through}, gt=True)

    @contextmanager
    def removing(self, pinned: str) -> Iterator[Removal | None]:
        """Keep others from beginning to use the image; None when somebody removes it already."""
        name, token = keys.image_removal(pinned), secrets.token_hex(8)
        removal = Removal(boot_seconds())
        with unavailable_when_lost():
            taken = self._redis.set(name, token, ex=_REMOVAL_SECONDS, nx=True)
        if not taken:
            yield None
            return
        try:
            yield removal
            if removal.done and removal.still_holds():
                with unavailable_when_lost():
                    self._redis.delete(keys.image_apps(pinned))
        finally:
            with unavailable_when_lost():
                if self._redis.get(name) == token:
                    self._redis.delete(name)


class Removal:
    """The right to remove one image, which runs out: ``began`` is on the boot clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self.done = False
        """To be set when the image is gone."""

    def still_holds(self) -> bool:
        """Whether nobody can have begun to use the image meanwhile: ask before removing it.

        A machine that slept, or a process that was frozen, may have kept it for too long.
        """
        return boot_seconds() - self._began < _TRUSTED_SECONDS
