"""Removes images that no kept release and no running operation needs (SPEC 6.9).

Only what this installation pulled (``Runtime.pulled``). Who needs an image is read from the
records of the apps that have asked for it; at the end of an operation only what that operation may
have made useless is looked at, and now and then everything, for what was missed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pydantic import ValidationError

from enclave.app import AppStatus
from enclave.errors import EnclaveError, NotFound, OperationFailed, StoreUnavailable
from enclave.release_status import last_expired
from enclave.store import Store
from worker.runtime import Runtime

logger = logging.getLogger(__name__)


class ImageCleaning:
    """``releases_kept`` newest releases of each app keep their images, and the live one.

    Needs no lease: an image is removed only while nobody can begin to use it (``Images.removing``).
    """

    def __init__(self, store: Store, runtime: Runtime, *, releases_kept: int) -> None:
        self._store, self._images = store, store.images
        self._runtime, self._kept = runtime, releases_kept

    def after_operation(self, app_id: int) -> int:
        """Remove what the app's last operations made useless; return how many images went.

        What cannot be removed now is left to ``sweep``. Raises nothing but ``StoreUnavailable``.
        """
        try:
            candidates = self._let_go(app_id) | self._expire(app_id)
            return self._remove(candidates)
        except StoreUnavailable:
            raise
        except (EnclaveError, ValidationError) as error:
            logger.warning("old images of app %s stay for now: %s", app_id, _why(error))
            return 0

    def sweep(self) -> int:
        """Look at every image this installation pulled; return how many were removed."""
        return self._remove(self._runtime.pulled())

    def _let_go(self, app_id: int) -> set[str]:
        """Forget the holds of ended operations; return their images."""
        held = self._images.held(app_id)
        ended = {number for number in held if self._has_ended(number)}
        self._images.let_go(app_id, ended)
        return {held[number] for number in ended}

    def _expire(self, app_id: int) -> set[str]:
        """Record which releases keep no image from now on; return their images.

        The record comes first: no release counts as kept whose image may be gone.
        """
        app = self._store.apps.app(app_id)
        newest = self._store.apps.newest_release(app_id)
        before = self._images.expired_through(app_id)
        through = newest if app.status is AppStatus.DEPROVISIONED else self._last_expired(newest)
        if through <= before:
            return set()
        self._images.expire(app_id, through)
        expired = self._store.apps.releases_between(app_id, before + 1, through)
        return {release.pinned for release in expired}

    def _last_expired(self, newest: int) -> int:
        return last_expired(newest, self._kept)

    def _remove(self, candidates: Iterable[str]) -> int:
        removed = 0
        for pinned in candidates:
            try:
                removed += self._remove_one(pinned)
            except OperationFailed as error:  # the others may go
                logger.warning("the image %s stays for now: %s", pinned, error)
        return removed

    def _remove_one(self, pinned: str) -> bool:
        with self._images.removing(pinned) as removal:
            if removal is None or self._is_needed(pinned) or not removal.still_holds():
                return False
            removal.done = self._runtime.remove_image(pinned)
            if removal.done:
                logger.info("removed the image %s: no release needs it", pinned)
            return removal.done

    def _is_needed(self, pinned: str) -> bool:
        return any(self._needs(app_id, pinned) for app_id in self._images.apps(pinned))

    def _needs(self, app_id: int, pinned: str) -> bool:
        """Whether the app needs the image; one whose records cannot be read may.

        Holds are looked at first: an operation that ends meanwhile has left a release.
        """
        try:
            held = self._images.held(app_id)
            if any(image == pinned and not self._has_ended(by) for by, image in held.items()):
                return True
            app = self._store.apps.app(app_id)
            if app.status is AppStatus.DEPROVISIONED:
                return False
            newest = self._store.apps.newest_release(app_id)
            kept = self._images.expired_through(app_id) + 1
            releases = self._store.apps.releases_between(app_id, kept, newest)
            if app.state.release is not None and app.state.release < kept:
                releases.append(self._store.apps.release(app_id, app.state.release))
        except StoreUnavailable:
            raise
        except (EnclaveError, ValidationError) as error:
            logger.warning("what app %s needs cannot be judged: %s", app_id, _why(error))
            return True
        return any(release.pinned == pinned for release in releases)

    def _has_ended(self, operation_id: int) -> bool:
        try:
            return self._store.operations.operation(operation_id).status.ended
        except NotFound:
            return True


def _why(error: Exception) -> str:
    """Return the error's words; those of a record that is no record could quote it."""
    return str(error) if isinstance(error, EnclaveError) else type(error).__name__
