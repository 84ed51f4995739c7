"""Access tokens: JWTs whose ``sub`` is the user's URL, good for as long as the store knows them.

Clients decode them without checking (API.md, Tokens); here signature, expiry and revocation count.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import jwt

from enclave.activity import LOCAL, Actor
from enclave.errors import NotFound, Unauthenticated
from enclave.people import User
from enclave.principal import Principal, read_scope
from enclave.store import Store
from enclave.store.tokens import TokenRecord

_ALGORITHM = "HS256"
_ACCESS, _LOG = "tokens", "log-urls"  # a key each: no token of one kind passes for the other
_LOG_SECONDS = 300
_LOGIN_AGAIN = "The access token is not valid: run aptible login."


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token just made: what is remembered of it, and its text, which nobody sees again."""

    record: TokenRecord
    access_token: str = field(repr=False)


def issue_token(
    store: Store,
    user: User,
    *,
    url: str,
    seconds: int,
    scope: str = "manage",
    name: str = "",
    actor: Actor = LOCAL,
) -> IssuedToken:
    """Make a token of the user, valid for ``seconds``; ``url`` is the API's root.

    Raises ``InvalidInput`` for a scope that is none.
    """
    token_id, now = uuid.uuid4().hex, int(time.time())
    record = TokenRecord(
        id=token_id,
        user_id=user.id,
        scope=str(read_scope(scope)),
        name=name,
        created_at=now,
        expires_at=now + seconds,
        generation=user.generation,
    )
    claims = {
        "sub": f"{url}/users/{user.id}",
        "jti": token_id,
        "iat": now,
        "exp": record.expires_at,
        "scope": record.scope,
    }
    text = jwt.encode(claims, store.sealer.derive(_ACCESS), _ALGORITHM)
    store.tokens.remember(record, actor=actor)
    return IssuedToken(record, text)


def verify_token(store: Store, text: str) -> Principal:
    """Return who shows this token, and how far it reaches; note that it was used.

    Raises ``Unauthenticated``, with the code ``expired_token`` for one of ours that is too old and
    ``invalid_token`` for everything else, revoked ones included: both make clients log in again.
    """
    claims = _read(store, text, _ACCESS, ["sub", "jti", "iat", "exp"])
    principal, token = _holder(store, str(claims["jti"]))
    if str(claims["sub"]).rpartition("/users/")[2] != str(principal.user.id):
        raise Unauthenticated(_LOGIN_AGAIN)
    store.tokens.note_use(token)
    return principal


def token_holder(store: Store, token_id: str) -> Principal:
    """Return who holds the token of that id, and how far it reaches, as long as it counts.

    For what a token has opened and is open still. Raises ``Unauthenticated``.
    """
    return _holder(store, token_id)[0]


def _holder(store: Store, token_id: str) -> tuple[Principal, TokenRecord]:
    try:
        token = store.tokens.find(token_id)
        user = store.people.user(token.user_id)
    except NotFound as error:
        raise Unauthenticated(_LOGIN_AGAIN) from error
    if token.generation != user.generation:
        raise Unauthenticated(_LOGIN_AGAIN)
    proof = f"token {token.id} ({token.scope})"
    return Principal(user, proof, read_scope(token.scope), token.id), token


def sign_log_url(store: Store, operation_id: int) -> str:
    """Return a token that opens one operation's log, and nothing else, for five minutes."""
    claims = {"operation": operation_id, "exp": int(time.time()) + _LOG_SECONDS}
    return jwt.encode(claims, store.sealer.derive(_LOG), _ALGORITHM)


def verify_log_url(store: Store, text: str, operation_id: int) -> None:
    """Return if the token opens that operation's log; raises ``Unauthenticated``."""
    if _read(store, text, _LOG, ["operation", "exp"])["operation"] != operation_id:
        raise Unauthenticated("This address is for another operation's log.")


def _read(store: Store, text: str, purpose: str, required: list[str]) -> dict[str, Any]:
    key = store.sealer.derive(purpose)
    try:
        return jwt.decode(text, key, [_ALGORITHM], options={"require": required})
    except jwt.ExpiredSignatureError as error:
        message = "The access token has expired: run aptible login."
        raise Unauthenticated(message, "expired_token") from error
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise Unauthenticated(_LOGIN_AGAIN) from error
