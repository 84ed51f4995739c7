"""Removes the containers of terminals whose attendant was killed.

A note in the store that is not there says little: the store may have taken none for a time. So
nothing goes that is served here, nor while the store takes no note, nor at the first look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from enclave.errors import EnclaveError
from enclave.store import Store
from enclave.store.visits import NOTED_SECONDS
from worker.attendant.terminals import Terminals
from worker.runtime import LABEL_OPERATION, LABEL_VISIT, Container, Runtime

logger = logging.getLogger(__name__)

_NO_OPERATION = 0


class AbandonedTerminals:
    """Looks at all containers of terminals of an installation now and then."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        installation: str,
        terminals: Terminals,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._runtime, self._installation = store, runtime, installation
        self._terminals, self._clock = terminals, clock
        self._missed: dict[str, float] = {}
        """Container ids, and since when nobody is known to serve them."""

    async def remove_forever(self) -> None:
        """Remove what is abandoned, whatever fails."""
        while True:
            try:
                await asyncio.to_thread(self.remove)
            except EnclaveError as error:
                logger.warning("containers of terminals are not looked at: %s", error)
            await asyncio.sleep(NOTED_SECONDS)

    def remove(self) -> None:
        """Remove what nobody has served for a note's time and longer.

        Raises ``OperationFailed`` and ``StoreUnavailable``.
        """
        present = self._runtime.containers({LABEL_VISIT: self._installation})
        if not present:
            self._missed.clear()
            return
        self._store.visits.note(_NO_OPERATION)  # while it takes this, it takes others' notes, too
        now = self._clock()
        abandoned = [each for each in present if not self._is_served(each)]
        self._missed = {each.id: self._missed.get(each.id, now) for each in abandoned}
        for container in abandoned:
            if now - self._missed[container.id] >= NOTED_SECONDS:
                logger.warning("removing %s: nobody serves that terminal", container.name)
                self._runtime.remove(container)

    def _is_served(self, container: Container) -> bool:
        operation_id = int(container.labels[LABEL_OPERATION])
        return self._terminals.serves(operation_id) or self._store.visits.is_open(operation_id)
