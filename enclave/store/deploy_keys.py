"""Deploy keys in Redis: SSH keys that belong to an environment, and to no person."""

from __future__ import annotations

from enclave.activity import LOCAL, Actor
from enclave.codec import decode, encode
from enclave.errors import Conflict
from enclave.people import SSHKey, read_key
from enclave.store import keys
from enclave.store.activity import Activities
from enclave.store.database import Database, unavailable_when_lost


class DeployKeys:
    """Keys of machines that deploy. A key belongs to one user or to one environment."""

    def __init__(self, database: Database, activities: Activities) -> None:
        self._database, self._activities = database, activities
        self._redis = database.redis

    def add(
        self, environment_id: int, public_key: str, name: str = "", *, actor: Actor = LOCAL
    ) -> SSHKey:
        """Let whoever has the key deploy every app of the environment.

        Raises ``InvalidInput``, or ``Conflict`` if the key is anyone's.
        """
        number = self._database.next_id("key")
        key = read_key(public_key, number=number, name=name, environment_id=environment_id)
        made = self._activities.make(
            self._activities.entry(actor, "key.add", key.words, environment_id=environment_id),
            [
                ("SET", keys.ssh_key(key.id), encode(key)),
                ("SADD", keys.environment_keys(environment_id), key.id),
            ],
            claim=(keys.KEYS_BY_FINGERPRINT, key.fingerprint, key.id),
        )
        if not made:
            raise Conflict(f"the key {key.fingerprint} is registered already")
        return key

    def of_environment(self, environment_id: int) -> list[SSHKey]:
        """Return the environment's keys, oldest first."""
        with unavailable_when_lost():
            members = self._redis.smembers(keys.environment_keys(environment_id))
            ids = sorted(int(each) for each in members)
            records = self._redis.mget([keys.ssh_key(each) for each in ids]) if ids else []
        return [decode(SSHKey, record) for record in records if record]

    def remove(self, key: SSHKey, *, actor: Actor = LOCAL) -> None:
        """Take a key from its environment; it opens no new connection."""
        environment_id = key.environment_id or 0
        # Guarded: somebody else may have registered the same key meanwhile.
        self._activities.take_away(
            self._activities.entry(actor, "key.remove", key.words, environment_id=environment_id),
            [
                ("HDEL", keys.KEYS_BY_FINGERPRINT, key.fingerprint),
                ("SREM", keys.environment_keys(environment_id), key.id),
                ("DEL", keys.ssh_key(key.id)),
            ],
            guard=(keys.KEYS_BY_FINGERPRINT, key.fingerprint, key.id),
        )
