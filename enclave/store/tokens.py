"""The tokens that count, in Redis: without its record here a token's signature opens nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from enclave.activity import LOCAL, Actor
from enclave.codec import decode, encode
from enclave.errors import NotFound, StoreUnavailable
from enclave.people import User
from enclave.principal import read_scope
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.database import Database, unavailable_when_lost

_NOTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of a token; never its text. Times are Unix seconds.

    ``last_used_at`` is right to the minute, None for one that was never used. ``generation`` is the
    user's when it was asked for.
    """

    id: str
    user_id: int
    scope: str
    name: str
    created_at: int
    expires_at: int
    last_used_at: int | None = None
    generation: int = 0


class Tokens:
    """Each token by its id, and the ids of each user's. What has expired vanishes by itself."""

    def __init__(self, database: Database, activities: Activities) -> None:
        self._activities = activities
        self._redis = database.redis

    def remember(self, token: TokenRecord, *, actor: Actor = LOCAL) -> None:
        """Have a token count from now until it expires."""
        index = keys.user_tokens(token.user_id)
        about = f"{token.id} ({token.scope}) {token.name}".strip()
        self._activities.make(
            self._activities.entry(actor, "token.create", about, app_id=_app(token)),
            [
                ("SET", keys.token(token.id), encode(token), "EXAT", token.expires_at),
                ("ZADD", index, token.expires_at, token.id),
                ("ZREMRANGEBYSCORE", index, "-inf", int(time.time()) - 1),
            ],
        )

    def find(self, token_id: str) -> TokenRecord:
        """Return a token that counts; raises ``NotFound`` for a revoked or expired one."""
        found = self._read([token_id])
        if not found:
            raise NotFound("there is no such token")
        return found[0]

    def of_user(self, user: User) -> list[TokenRecord]:
        """Return the user's tokens that count, newest first."""
        with unavailable_when_lost():
            ids = self._redis.zrevrange(keys.user_tokens(user.id), 0, -1)
        return sorted(self._read(ids), key=lambda token: token.created_at, reverse=True)

    def note_use(self, token: TokenRecord) -> None:
        """Note that the token is used now, once a minute at most.

        A store that takes nothing fails no request that only reads: then it is not noted.
        """
        now = int(time.time())
        if token.last_used_at is not None and now - token.last_used_at < _NOTE_SECONDS:
            return
        try:
            with unavailable_when_lost():
                self._redis.set(keys.token_use(token.id), now, exat=token.expires_at)
        except StoreUnavailable:
            return

    def revoke(self, token: TokenRecord, *, actor: Actor = LOCAL) -> None:
        """End a token now."""
        self._activities.take_away(
            self._activities.entry(actor, "token.revoke", token.id, app_id=_app(token)),
            [
                ("DEL", keys.token(token.id), keys.token_use(token.id)),
                ("ZREM", keys.user_tokens(token.user_id), token.id),
            ],
        )

    def _read(self, ids: list[str]) -> list[TokenRecord]:
        """Return those that count; one request, as every API request makes it."""
        if not ids:
            return []
        with unavailable_when_lost():
            found = self._redis.mget([*map(keys.token, ids), *map(keys.token_use, ids)])
        records, uses = found[: len(ids)], found[len(ids) :]
        return [_record(text, used) for text, used in zip(records, uses, strict=True) if text]


def _app(token: TokenRecord) -> int | None:
    return read_scope(token.scope).app_id


def _record(text: str, used: str | None) -> TokenRecord:
    token = decode(TokenRecord, text)
    return token if used is None else replace(token, last_used_at=int(used))
