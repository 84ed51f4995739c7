"""Patience with a store that takes no word of ours, for processes that begin."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from enclave.errors import StoreUnavailable

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0


def until_taken(word: Callable[[], object]) -> None:
    """Call ``word``, which writes something, until the store takes it.

    RQ's worker could not begin before that; and who ended instead would be started again, after a
    pause that grows every time.
    """
    while True:
        try:
            word()
            return
        except StoreUnavailable as error:
            logger.warning("waiting for the store: %s", error)
            time.sleep(_PAUSE_SECONDS)
