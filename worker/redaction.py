"""Takes secrets out of log lines. It sits at the log's one writer (DESIGN 4)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from enclave.app import AppSecrets
from enclave.credentials import RegistryCredentials
from worker.plain_text import plain_text

MASK = "[redacted]"

_MIN_LENGTH = 8
_SECRET_NAME = re.compile(
    r"PASSW|SECRET|TOKEN|PRIVATE|CREDENTIAL|(^|_)(API|ACCESS|AUTH)?_?KEY($|_)"
)
_LINE_BREAKS = re.compile(r"[\r\n]+")
# A JSON web token, ours or somebody else's: a bearer of it may act (RFC 7519). Few servers take
# headers of more than 8 KB, so few tokens are longer.
_BEARER = r"eyJ[A-Za-z0-9_-]{8,2000}+\.eyJ[A-Za-z0-9_-]{8,8000}+\.[A-Za-z0-9_-]{16,700}+"
_LONGEST_BEARER = 10_708
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def secrets_of(secrets: AppSecrets, more: Iterable[RegistryCredentials | None] = ()) -> list[str]:
    """Return every text that no log may show.

    Registry passwords, alone and as base64 of ``user:password``; of the configuration, values of
    at least 8 characters whose variable's name speaks of a secret (PASSWORD, TOKEN, API_KEY, …),
    and passwords inside URLs (**ours**).
    """
    found = {
        text
        for credentials in (secrets.credentials, *more)
        if credentials is not None
        for text in _forms(credentials)
    }
    found.update(_secret_values(secrets.configuration))
    return sorted(found, key=len, reverse=True)


def _forms(credentials: RegistryCredentials) -> list[str]:
    pair = f"{credentials.username}:{credentials.password}".encode()
    encoded = (base64.b64encode(pair), base64.urlsafe_b64encode(pair))
    return [
        credentials.password,
        *_long_lines(credentials.password),
        quote(credentials.password, safe=""),
        *(text.decode().rstrip("=") for text in encoded),
    ]


def _secret_values(configuration: Mapping[str, str]) -> set[str]:
    values = {
        line
        for name, value in configuration.items()
        if _SECRET_NAME.search(name.upper())
        for line in _long_lines(value)
    }
    passwords = {
        match for value in configuration.values() for match in _PASSWORD_IN_URL.findall(value)
    }
    return values | {text for text in passwords if len(text) >= _MIN_LENGTH}


def _long_lines(value: str) -> list[str]:
    """Return the lines of a value that are long enough: a log shows it line by line."""
    lines = [plain_text(line).strip() for line in _LINE_BREAKS.split(value)]
    return [line for line in lines if len(line) >= _MIN_LENGTH]


class Redactor:
    """Replaces secrets in a line of plain text, and tokens of anybody's.

    Longer ones first, so that none leaves a recognisable rest. ``longest`` is in characters.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {plain_text(secret) for secret in secrets} - {""}
        texts = sorted(plain, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, texts), _BEARER]))
        self.longest = max(len(texts[0]) if texts else 0, _LONGEST_BEARER)

    def redact(self, line: str) -> str:
        """Return the line with every secret masked."""
        return self._pattern.sub(MASK, line)

    def end_of_secret(self, text: str, at: int) -> int:
        """Return ``at``, or where the secret ends that stands across it."""
        for match in self._pattern.finditer(text):
            if match.end() > at:
                return match.end() if match.start() < at else at
        return at
