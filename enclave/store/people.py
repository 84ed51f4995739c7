"""Users, passwords, SSH keys, tokens and memberships in Redis."""

from __future__ import annotations

from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from enclave.people import Role, SSHKey, User, fingerprint
from enclave.store import keys
from enclave.store.database import Database, unavailable_when_lost

_MAX_FAILURES = 10
_FAILURE_SECONDS = 300
_WRONG = "The email or the password is wrong."


class People:
    """Who may come in, and how they prove it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._hasher = PasswordHasher()

    @cached_property
    def _no_password(self) -> str:
        """A hash to check for users that do not exist; made late: few processes need one."""
        return self._hasher.hash("no user has this password")

    def create_user(self, email: str, password: str) -> User:
        """Create a user. Raises ``InvalidInput`` or ``Conflict``."""
        email = email.strip().lower()
        if "@" not in email or any(c.isspace() or not c.isprintable() for c in email):
            raise InvalidInput(f"{email!r} is not an email address")
        if len(password) < 8:
            raise InvalidInput("a password has at least 8 characters")
        user = User(self._database.next_id("user"), email, now_iso())
        record = {"record": encode(user), "password": self._hasher.hash(password)}
        with unavailable_when_lost():
            self._redis.hset(keys.user(user.id), mapping=record)
            if not self._database.claim(keys.USERS_BY_EMAIL, email, user.id):
                self._redis.delete(keys.user(user.id))
                raise Conflict(f"a user {email} exists already")
        return user

    def user(self, user_id: int) -> User:
        """Return a user; raises ``NotFound``."""
        with unavailable_when_lost():
            record = self._redis.hget(keys.user(user_id), "record")
        if record is None:
            raise NotFound("there is no such user")
        return decode(User, record)

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
            stored = self._redis.hget(keys.user(int(user_id)), "password") if user_id else None
        try:
            self._hasher.verify(stored or no_password, password)
        except (VerifyMismatchError, InvalidHashError) as error:
            self._database.run("count_failure", [failures], [_FAILURE_SECONDS])
            raise Unauthenticated(_WRONG, "invalid_credentials") from error
        if user_id is None:
            raise Unauthenticated(_WRONG, "invalid_credentials")
        return self.user(int(user_id))

    def add_key(self, user: User, public_key: str, name: str = "") -> SSHKey:
        """Give the user an SSH key. Raises ``InvalidInput``, or ``Conflict`` if anyone has it."""
        words = public_key.split()
        key = SSHKey(
            id=self._database.next_id("key"),
            user_id=user.id,
            name=name or (words[2] if len(words) > 2 else "key"),
            public_key=" ".join(words[:2]),
            fingerprint=fingerprint(public_key),
        )
        with unavailable_when_lost():
            self._redis.set(keys.ssh_key(key.id), encode(key))
            if not self._database.claim(keys.KEYS_BY_FINGERPRINT, key.fingerprint, key.id):
                self._redis.delete(keys.ssh_key(key.id))
                raise Conflict(f"the key {key.fingerprint} is registered already")
            self._redis.sadd(keys.user_keys(user.id), key.id)
        return key

    def keys_of(self, user: User) -> list[SSHKey]:
        """Return the user's SSH keys, oldest first."""
        with unavailable_when_lost():
            ids = sorted(int(i) for i in self._redis.smembers(keys.user_keys(user.id)))
            records = self._redis.mget([keys.ssh_key(i) for i in ids]) if ids else []
        return [decode(SSHKey, record) for record in records if record]

    def remove_key(self, user: User, key_id: int) -> None:
        """Take a key from its user; it opens no new connection. Raises ``NotFound``."""
        with unavailable_when_lost():
            record = self._redis.get(keys.ssh_key(key_id))
            key = decode(SSHKey, record) if record else None
        if key is None or key.user_id != user.id:
            raise NotFound("you have no such key")
        self._database.run(
            "remove_key",
            [keys.KEYS_BY_FINGERPRINT, keys.user_keys(user.id), keys.ssh_key(key_id)],
            [key.fingerprint, key_id],
        )

    def user_by_fingerprint(self, key_fingerprint: str) -> User | None:
        """Return whose SSH key that is, or None."""
        with unavailable_when_lost():
            key_id = self._redis.hget(keys.KEYS_BY_FINGERPRINT, key_fingerprint)
            record = self._redis.get(keys.ssh_key(int(key_id))) if key_id else None
        return self.user(decode(SSHKey, record).user_id) if record else None

    def remember_token(self, token_id: str, user: User, seconds: int) -> None:
        """Make a token valid for ``seconds``; without this record its signature is not enough."""
        with unavailable_when_lost():
            self._redis.set(keys.token(token_id), user.id, ex=seconds)

    def token_is_live(self, token_id: str) -> bool:
        """Whether the token was neither revoked nor forgotten."""
        with unavailable_when_lost():
            return bool(self._redis.exists(keys.token(token_id)))

    def revoke_token(self, user: User, token_id: str) -> None:
        """End one of the user's tokens now. Raises ``NotFound``."""
        with unavailable_when_lost():
            if self._redis.get(keys.token(token_id)) != str(user.id):
                raise NotFound("you have no such token")
            self._redis.delete(keys.token(token_id))

    def set_role(self, user: User, environment_id: int, role: Role) -> None:
        """Make the user a member of the environment, with this role from now on."""
        with unavailable_when_lost():
            self._redis.hset(keys.user_environments(user.id), str(environment_id), role)

    def role(self, user: User, environment_id: int) -> Role | None:
        """Return the user's role there, None for a stranger."""
        with unavailable_when_lost():
            role = self._redis.hget(keys.user_environments(user.id), str(environment_id))
        return Role(role) if role else None

    def environments_of(self, user: User) -> list[int]:
        """Return the ids of the environments the user is a member of, in order."""
        with unavailable_when_lost():
            return sorted(int(i) for i in self._redis.hkeys(keys.user_environments(user.id)))
