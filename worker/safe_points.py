"""Where an operation may be stopped, and why it is: a cancel, a deadline, a lost lease, a restart.

Other threads say ``stop``; the operation's own thread hears of it at its safe points, and within
``attempt`` at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from enclave.errors import EnclaveError, EngineUnavailable, HandedBack, LeaseLost

logger = logging.getLogger(__name__)

_UNDOING_SECONDS = 10.0
_UNDO_PAUSE = 0.2

Result = TypeVar("Result")


class SafePoints:
    """The first reason to stop counts; a lost lease counts before every other.

    ``HandedBack`` counts only until ``begin``: what has begun is finished by this worker.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._why: EnclaveError | None = None
        self._begun = False
        self.uncertain = False
        """Whether something that was left alone may yet do what nobody would know of."""

    def stop(self, why: EnclaveError) -> None:
        """Have the operation stop at its next safe point with ``why``. For other threads."""
        with self._changed:
            if isinstance(why, HandedBack) and self._begun:
                return
            if self._why is None or isinstance(why, LeaseLost):
                self._why = why
            self._changed.notify_all()

    def begin(self) -> None:
        """Pass the first safe point: from here on the operation is not handed back.

        Raises like ``check``.
        """
        with self._changed:
            self.check()
            self._begun = True

    def check(self) -> None:
        """Raise if the operation may not go on."""
        if self._why is not None:
            raise self._why

    def attempt(
        self, call: Callable[[], Result], *, undo: Callable[[], None] | None = None
    ) -> Result:
        """Return what ``call`` does, which may take long; raise at once when told to stop.

        ``call`` runs in a thread of its own, which is left to its own deadline if it must be. What
        it has begun elsewhere is ended by ``undo``, which is repeated until ``call`` returns: it
        may have been about to begin more.
        """
        self.check()
        outcome: Future[Result] = Future()
        name = threading.current_thread().name
        thread = threading.Thread(target=_settle, args=(call, outcome), name=name, daemon=True)
        outcome.add_done_callback(lambda _: self._wake())
        thread.start()
        with self._changed:
            self._changed.wait_for(lambda: outcome.done() or self._why is not None)
        if self._why is not None and undo is not None:
            self._undo(undo, thread)
            silent = outcome.done() and isinstance(outcome.exception(), EngineUnavailable)
            self.uncertain = self.uncertain or thread.is_alive() or silent
        self.check()
        return outcome.result()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    @staticmethod
    def _undo(undo: Callable[[], None], thread: threading.Thread) -> None:
        deadline = time.monotonic() + _UNDOING_SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            try:
                undo()
            except EnclaveError as error:
                logger.warning("what is to be stopped did not end: %s", error)
            thread.join(_UNDO_PAUSE)


def _settle(call: Callable[[], Result], outcome: Future[Result]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # noqa: BLE001 -- raised again where the result is asked for
        outcome.set_exception(error)
