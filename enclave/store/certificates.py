"""The certificates users give, in Redis. Each is written once: another one has another id."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from enclave.activity import LOCAL, Actor
from enclave.certificate import (
    Certificate,
    KeyPair,
    ReadCertificate,
    now,
    read_certificate,
    record_of,
)
from enclave.clock import now_iso
from enclave.codec import decode, encode
from enclave.errors import NotFound
from enclave.sealing import Sealer
from enclave.store import keys
from enclave.store.activity import Activities, Entry
from enclave.store.database import Database, unavailable_when_lost


class Certificates:
    """What may be known of them, and (sealed) their chains and keys."""

    def __init__(self, database: Database, sealer: Sealer, activities: Activities) -> None:
        self._database, self._sealer = database, sealer
        self._activities = activities
        self._redis = database.redis

    def add(
        self,
        environment_id: int,
        chain: str,
        key: str,
        *,
        check: Callable[[ReadCertificate], None] | None = None,
        actor: Actor = LOCAL,
    ) -> Certificate:
        """Keep a certificate (PEM) of an environment, written anew. Raises ``InvalidCertificate``.

        So may ``check``, which sees it before anything is kept.
        """
        read = read_certificate(KeyPair(chain, key), moment=now())
        if check is not None:
            check(read)
        certificate_id = self._database.next_id("certificate")
        record = record_of(
            read.certificate,
            certificate_id=certificate_id,
            environment_id=environment_id,
            created_at=now_iso(),
        )
        sealed = self._sealer.seal(encode(read.pair))
        fields = ["record", encode(record), "sealed", sealed]
        self._activities.make(
            self._entry(actor, "certificate.create", record),
            [
                ("HSET", keys.certificate(certificate_id), *fields),
                ("SADD", keys.environment_certificates(environment_id), certificate_id),
            ],
        )
        return record

    def certificate(self, certificate_id: int) -> Certificate:
        """Return what may be known of one; raises ``NotFound``."""
        return decode(Certificate, self._field(certificate_id, "record"))

    def key_pair(self, certificate_id: int) -> KeyPair:
        """Return chain and key, opened; raises ``NotFound``."""
        return decode(KeyPair, self._sealer.open(self._field(certificate_id, "sealed")))

    def of_environment(self, environment_id: int) -> list[Certificate]:
        """Return the environment's certificates, oldest first."""
        with unavailable_when_lost():
            ids = self._redis.smembers(keys.environment_certificates(environment_id))
        found = []
        for each in sorted(map(int, ids)):
            with suppress(NotFound):  # it was removed meanwhile
                found.append(self.certificate(each))
        return found

    def remove(self, certificate: Certificate, *, actor: Actor = LOCAL) -> None:
        """Forget a certificate. The caller has seen to it that no route names it."""
        index = keys.environment_certificates(certificate.environment_id)
        self._activities.take_away(
            self._entry(actor, "certificate.remove", certificate),
            [("SREM", index, certificate.id), ("DEL", keys.certificate(certificate.id))],
        )

    def _entry(self, actor: Actor, action: str, certificate: Certificate) -> Entry:
        about = f"{certificate.id} {certificate.common_name}"
        environment_id = certificate.environment_id or None  # the installation's own have none
        return self._activities.entry(actor, action, about, environment_id=environment_id)

    def _field(self, certificate_id: int, field: str) -> str:
        with unavailable_when_lost():
            value = self._redis.hget(keys.certificate(certificate_id), field)
        if value is None:
            raise NotFound("there is no such certificate")
        return value
