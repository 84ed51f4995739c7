"""A request that may come twice: its client sends a key, and asks again when the answer is lost."""

from __future__ import annotations

from dataclasses import dataclass

KEPT_SECONDS = 24 * 3600
"""For so long the same key of the same user means the same request."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A user's key, and what was asked with it: a keyed digest of address and body (hex)."""

    user_id: int
    text: str
    asked: str
