"""Secrets at rest: sealed before they reach Redis, opened only where they are used."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from enclave.errors import Misconfigured
from enclave.files import create_private


class Sealer:
    """Encrypts with the newest key, decrypts with any (``MultiFernet``: keys rotate)."""

    def __init__(self, keys: list[str]) -> None:
        if not keys:
            raise Misconfigured("no secret key: set ENCLAVE_SECRET_KEYS")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise Misconfigured(
                "ENCLAVE_SECRET_KEYS holds something that is not a Fernet key"
            ) from error
        self._newest = keys[0]
        self._derived: dict[str, bytes] = {}

    @classmethod
    def from_settings(cls, secret_keys: str, data: Path) -> Sealer:
        """Take the keys given, or those in ``data/secret.keys``, made on first use (mode 600)."""
        if not secret_keys:
            path = data / "secret.keys"
            create_private(path, Fernet.generate_key() + b"\n")
            secret_keys = ",".join(path.read_text("ascii").split())
        return cls([key.strip() for key in secret_keys.split(",") if key.strip()])

    def seal(self, text: str) -> str:
        """Return ``text`` encrypted, as ASCII."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """Return what was sealed; ``Misconfigured`` when none of our keys opens it."""
        try:
            return self._fernet.decrypt(sealed.encode("ascii")).decode()
        except InvalidToken as error:
            raise Misconfigured(
                "none of ENCLAVE_SECRET_KEYS opens what is stored: was a key removed too early?"
            ) from error

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for another use of the newest key (signing tokens), by HKDF."""
        if purpose not in self._derived:
            key = base64.urlsafe_b64decode(self._newest)
            derivation = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode())
            self._derived[purpose] = derivation.derive(key)
        return self._derived[purpose]
