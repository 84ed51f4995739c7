"""The tokens that count, in Redis: without its record here a token's signature opens nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from enclave.codec import decode, encode
from enclave.errors import NotFound, StoreUnavailable
from enclave.people import User
from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_NOTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of a token; never its text. Times are Unix seconds.

    ``last_used_at`` is right to the minute, None for one that was never used.
    """

    id: str
    user_id: int
    scope: str
    name: str
    created_at: int
    expires_at: int
    last_used_at: int | None = None


class Tokens:
    """Each token by its id, and the ids of each user's. What has expired vanishes by itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis

    def remember(self, token: TokenRecord) -> None:
        """Have a token count from now until it expires."""
        index = keys.user_tokens(token.user_id)
        with unavailable_when_lost(), self._redis.pipeline() as pipe:
            pipe.set(keys.token(token.id), encode(token), exat=token.expires_at)
            pipe.zadd(index, {token.id: token.expires_at})
            pipe.zremrangebyscore(index, "-inf", time.time())
            pipe.execute()

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

    def revoke(self, token: TokenRecord) -> None:
        """End a token now."""
        self._forget(token.user_id, [token.id])

    def revoke_all(self, user: User) -> int:
        """End every token of the user now; return how many there were."""
        with unavailable_when_lost():
            ids = self._redis.zrevrange(keys.user_tokens(user.id), 0, -1)
        if ids:
            self._forget(user.id, ids)
        return len(ids)

    def _forget(self, user_id: int, ids: list[str]) -> None:
        with unavailable_when_lost(), self._redis.pipeline(transaction=False) as pipe:
            pipe.delete(*map(keys.token, ids), *map(keys.token_use, ids))
            pipe.zrem(keys.user_tokens(user_id), *ids)
            pipe.execute()

    def _read(self, ids: list[str]) -> list[TokenRecord]:
        """Return those that count; one request, as every API request makes it."""
        if not ids:
            return []
        with unavailable_when_lost():
            found = self._redis.mget([*map(keys.token, ids), *map(keys.token_use, ids)])
        records, uses = found[: len(ids)], found[len(ids) :]
        return [_record(text, used) for text, used in zip(records, uses, strict=True) if text]


def _record(text: str, used: str | None) -> TokenRecord:
    token = decode(TokenRecord, text)
    return token if used is None else replace(token, last_used_at=int(used))
