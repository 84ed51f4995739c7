"""Tells the API where each request comes from, as ``enclave/asker.py`` asks."""

from __future__ import annotations

from receiver.places import Places


class AskerOfAddress:
    """One client's address, which the API counts logins against."""

    def __init__(self, places: Places, address: str) -> None:
        self._places, self._address = places, address

    def log_in(self) -> None:
        """See ``Asker.log_in``."""
        self._places.check_failures(self._address)
        self._places.log_in(self._address)

    def failed(self) -> None:
        """See ``Asker.failed``."""
        self._places.check_failures(self._address)
        self._places.failed(self._address)
