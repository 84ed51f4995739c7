"""Users, passwords, SSH keys and memberships in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from enclave.activity import LOCAL, Actor
from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from enclave.people import NOBODY, Role, SSHKey, User, checked_email, read_key
from enclave.store import keys
from enclave.store.activity import Activities, Command
from enclave.store.database import Database, unavailable_when_lost
from enclave.store.members import Members

MOST_KEYS = 100
"""SSH keys of one user."""

_PASSWORD_CHARACTERS = 8
_MAX_FAILURES = 10
_FAILURE_SECONDS = 300
_WRONG = "The email or the password is wrong."


class People:
    """Who may come in, and how they prove it."""

    def __init__(self, database: Database, activities: Activities, members: Members) -> None:
        self._database, self._activities, self._members = database, activities, members
        self._redis = database.redis
        self._hasher = PasswordHasher()

    @cached_property
    def _no_password(self) -> str:
        """A hash to check for users that do not exist; made late: few processes need one."""
        return self._hasher.hash("no user has this password")

    def create_user(self, email: str, password: str, *, actor: Actor = LOCAL) -> User:
        """Create a user. Raises ``InvalidInput`` or ``Conflict``."""
        email = checked_email(email)
        hashed = self._hash(password)
        user = User(self._database.next_id("user"), email, now_iso())
        made = self._activities.make(
            self._activities.entry(actor, "user.create", email),
            [("HSET", keys.user(user.id), "record", encode(user), "password", hashed)],
            claim=(keys.USERS_BY_EMAIL, email, user.id),
        )
        if not made:
            raise Conflict(f"a user {email} exists already")
        return user

    def set_password(self, user: User, password: str, *, actor: Actor = LOCAL) -> int:
        """Give the user another password, and end all their tokens; return how many there were.

        One that is made at this very moment belongs to the generation before, and counts as little.
        Their SSH keys stay. Raises ``InvalidInput``.
        """
        hashed, tokens = self._hash(password), self._tokens(user)
        self._activities.take_away(  # a full store must not keep a stranger's token alive
            self._activities.entry(actor, "user.password", user.email),
            [
                ("HSET", keys.user(user.id), "password", hashed),
                ("HINCRBY", keys.user(user.id), "generation", 1),
                *_ending(user, tokens),
            ],
        )
        return len(tokens)

    def remove_user(self, user: User, *, actor: Actor = LOCAL) -> None:
        """Remove a user with their keys, tokens and memberships; what they did stays told.

        Raises ``Conflict`` if they are the last admin of an environment, and ``NotFound`` when they
        are gone already.
        """
        environments = self.environments_of(user)
        for environment_id in environments:
            self._members.check_admin_left(environment_id, without=user.email)
        for environment_id in environments:
            self._members.remove_email(environment_id, user.email, actor=actor)
        owned = self.keys_of(user)
        removed = self._activities.take_away(
            self._activities.entry(actor, "user.remove", user.email),
            [
                ("DEL", keys.user(user.id), keys.user_keys(user.id)),
                ("HDEL", keys.USERS_BY_EMAIL, user.email),
                *(("HDEL", keys.KEYS_BY_FINGERPRINT, key.fingerprint) for key in owned),
                *(("DEL", keys.ssh_key(key.id)) for key in owned),
                *_ending(user, self._tokens(user)),
            ],
            guard=(keys.USERS_BY_EMAIL, user.email, user.id),
        )
        if not removed:
            raise NotFound(f"there is no user {user.email}")

    def user(self, user_id: int) -> User:
        """Return a user; raises ``NotFound``."""
        with unavailable_when_lost():
            found = self._redis.hmget(keys.user(user_id), ["record", "generation"])
        return _user(*found)

    def user_by_email(self, email: str) -> User:
        """Return the user with that address; raises ``NotFound``."""
        with unavailable_when_lost():
            user_id = self._redis.hget(keys.USERS_BY_EMAIL, email.strip().lower())
        if user_id is None:
            raise NotFound(f"there is no user {email}")
        return self.user(int(user_id))

    def authenticate(self, email: str, password: str) -> User:
        """Return the user whose password this is.

        Raises ``Unauthenticated``, the same and after the same work for an unknown user and for a
        wrong password (API.md, Tokens), and without looking after ten failures in five minutes.
        """
        email = email.strip().lower()
        failures = keys.login_failures(email)
        no_password = self._no_password  # whoever asks first pays, known or unknown
        with unavailable_when_lost():
            if int(self._redis.get(failures) or 0) >= _MAX_FAILURES:
                raise Unauthenticated(
                    "Too many wrong passwords: wait five minutes.", "invalid_credentials"
                )
            user_id = self._redis.hget(keys.USERS_BY_EMAIL, email)
            # At one moment: with a password that is being replaced comes its own generation.
            names = ["password", "record", "generation"]
            stored, *found = self._redis.hmget(keys.user(int(user_id or NOBODY)), names)
        try:
            self._hasher.verify(stored or no_password, password)
        except (VerifyMismatchError, InvalidHashError) as error:
            self._database.run("count_failure", [failures], [_FAILURE_SECONDS])
            raise Unauthenticated(_WRONG, "invalid_credentials") from error
        if user_id is None:
            raise Unauthenticated(_WRONG, "invalid_credentials")
        return _user(*found)

    def add_key(
        self, user: User, public_key: str, name: str = "", *, actor: Actor = LOCAL
    ) -> SSHKey:
        """Give the user an SSH key.

        Raises ``InvalidInput``, and ``Conflict`` if anyone has it, or the user has too many.
        """
        if len(self.keys_of(user)) >= MOST_KEYS:
            raise Conflict(f"You have {MOST_KEYS} SSH keys: remove one first.")
        number = self._database.next_id("key")
        key = read_key(public_key, number=number, name=name, user_id=user.id)
        made = self._activities.make(
            self._activities.entry(actor, "key.add", _key_words(user, key)),
            [
                ("SET", keys.ssh_key(key.id), encode(key)),
                ("SADD", keys.user_keys(user.id), key.id),
            ],
            claim=(keys.KEYS_BY_FINGERPRINT, key.fingerprint, key.id),
        )
        if not made:
            raise Conflict(f"the key {key.fingerprint} is registered already")
        return key

    def keys_of(self, user: User) -> list[SSHKey]:
        """Return the user's SSH keys, oldest first."""
        with unavailable_when_lost():
            ids = sorted(int(i) for i in self._redis.smembers(keys.user_keys(user.id)))
            records = self._redis.mget([keys.ssh_key(i) for i in ids]) if ids else []
        return [decode(SSHKey, record) for record in records if record]

    def key(self, key_id: int) -> SSHKey:
        """Return an SSH key; raises ``NotFound``."""
        with unavailable_when_lost():
            record = self._redis.get(keys.ssh_key(key_id))
        if record is None:
            raise NotFound("there is no such key")
        return decode(SSHKey, record)

    def remove_key(self, user: User, key_id: int, *, actor: Actor = LOCAL) -> None:
        """Take a key from its user; it opens no new connection. Raises ``NotFound``."""
        key = self.key(key_id)
        if key.user_id != user.id:
            raise NotFound("there is no such key")
        # Guarded: somebody else may have registered the same key meanwhile.
        self._activities.take_away(
            self._activities.entry(actor, "key.remove", _key_words(user, key)),
            [
                ("HDEL", keys.KEYS_BY_FINGERPRINT, key.fingerprint),
                ("SREM", keys.user_keys(user.id), key_id),
                ("DEL", keys.ssh_key(key_id)),
            ],
            guard=(keys.KEYS_BY_FINGERPRINT, key.fingerprint, key_id),
        )

    def key_by_fingerprint(self, key_fingerprint: str) -> SSHKey | None:
        """Return the SSH key, a user's or an environment's, None for an unknown one."""
        with unavailable_when_lost():
            key_id = self._redis.hget(keys.KEYS_BY_FINGERPRINT, key_fingerprint)
            record = self._redis.get(keys.ssh_key(int(key_id))) if key_id else None
        return decode(SSHKey, record) if record else None

    def user_by_fingerprint(self, key_fingerprint: str) -> User | None:
        """Return whose SSH key that is, None for one that is nobody's."""
        key = self.key_by_fingerprint(key_fingerprint)
        return None if key is None or key.user_id == NOBODY else self.user(key.user_id)

    def set_role(
        self, user: User, environment_id: int, role: Role, *, actor: Actor = LOCAL
    ) -> None:
        """Make the user a member of the environment, with this role from now on.

        Raises ``Conflict`` if they are its last admin, and would be it no more.
        """
        self._members.set(environment_id, user.email, role, actor=actor)

    def role(self, user: User, environment_id: int) -> Role | None:
        """Return the user's role there, None for a stranger."""
        return self._members.role(environment_id, user.email)

    def environments_of(self, user: User) -> list[int]:
        """Return the ids of the environments the user is a member of, in order."""
        return self._members.environments_of(user.email)

    def _hash(self, password: str) -> str:
        if len(password) < _PASSWORD_CHARACTERS:
            raise InvalidInput(f"a password has at least {_PASSWORD_CHARACTERS} characters")
        return self._hasher.hash(password)

    def _tokens(self, user: User) -> list[str]:
        with unavailable_when_lost():
            return self._redis.zrevrange(keys.user_tokens(user.id), 0, -1)


def _user(record: str | None, generation: str | None) -> User:
    if record is None:
        raise NotFound("there is no such user")
    return replace(decode(User, record), generation=int(generation or 0))


def _ending(user: User, tokens: Sequence[str]) -> Iterator[Command]:
    """Return the commands that end tokens of the user."""
    for token_id in tokens:
        yield ("DEL", keys.token(token_id), keys.token_use(token_id))
    yield ("DEL", keys.user_tokens(user.id))


def _key_words(user: User, key: SSHKey) -> str:
    return f"{key.words} of {user.email}"
