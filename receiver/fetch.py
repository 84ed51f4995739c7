"""Clone and fetch: dulwich's upload-pack over our refs (SPEC 2.12)."""

from __future__ import annotations

from dulwich.protocol import CAPABILITY_FILTER, Protocol
from dulwich.server import UploadPackHandler

from receiver.repository import AppRepository, OneRepository


class Fetch(UploadPackHandler):
    """Gives the app's history to those who may push to it. Partial clones are not offered."""

    def __init__(
        self, repository: AppRepository, protocol: Protocol, *, stateless: bool, advertise: bool
    ) -> None:
        super().__init__(
            OneRepository(repository),
            ["/"],
            protocol,
            stateless_rpc=stateless,
            advertise_refs=advertise,
        )

    def capabilities(self) -> list[bytes]:
        """Return what upload-pack advertises."""
        return [word for word in super().capabilities() if word != CAPABILITY_FILTER]
