"""What the API needs to tell what containers print; a receiver has it (``receiver.attendants``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from enclave.attending import FollowContainers


class ContainerOutput(Protocol):
    """Somebody who can ask those that talk to the Engine."""

    def followed(
        self, request: FollowContainers
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Lend lines of JSON, as they come; none is sent before the one before is taken.

        Raises ``AttendantsAway`` and ``StoreUnavailable``. The lines end when the sender does.
        """
        ...
