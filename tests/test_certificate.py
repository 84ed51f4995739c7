"""Which certificates are kept: what is refused here would stop HAProxy, or a browser."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from certificates import Issued, chained_certificate, given_certificate
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from enclave.certificate import KeyPair
from enclave.errors import InvalidCertificate, NotFound
from enclave.store import Store, keys


def test_what_is_known_of_one(store: Store) -> None:
    chain, key, _ = chained_certificate("www.example.com")
    added = store.certificates.add(3, chain, key)
    assert (added.common_name, added.names) == ("www.example.com", ("www.example.com",))
    assert (added.environment_id, added.issuer) == (3, "Middle")
    assert added.not_before < added.created_at < added.not_after
    assert len(bytes.fromhex(added.sha256)) == 32
    assert store.certificates.certificate(added.id) == added
    assert store.certificates.key_pair(added.id) == KeyPair(chain, key)


def test_they_are_an_environments_own_and_can_be_forgotten(store: Store) -> None:
    first, second = (store.certificates.add(3, *given_certificate(name)) for name in "ab")
    other = store.certificates.add(4, *given_certificate("c"))
    assert store.certificates.of_environment(3) == [first, second]
    store.certificates.remove(first)
    assert store.certificates.of_environment(3) == [second]
    assert store.certificates.of_environment(4) == [other]
    with pytest.raises(NotFound):
        store.certificates.certificate(first.id)
    with pytest.raises(NotFound):
        store.certificates.key_pair(first.id)


def test_no_key_is_in_redis_in_clear(store: Store) -> None:
    _, key = pair = given_certificate("a")
    added = store.certificates.add(3, *pair)
    fields = store.database.redis.hgetall(keys.certificate(added.id))
    assert not any("PRIVATE KEY" in value or key[60:90] in value for value in fields.values())


def out_of_order() -> tuple[str, str]:
    root = Issued("Root", authority=True)
    middle = Issued("Middle", issuer=root, authority=True)
    leaf = Issued("www.example.com", issuer=middle)
    return leaf.pem + root.pem + middle.pem, leaf.key_pem()


def issued(**more: object) -> tuple[str, str]:
    one = Issued("a.example.com", **more)  # type: ignore[arg-type]
    return one.pem, one.key_pem()


def with_password() -> tuple[str, str]:
    one = Issued("a.example.com")
    return one.pem, one.key_pem(b"secret")


def expired_chain() -> tuple[str, str]:
    old = Issued("Old", authority=True, begins=timedelta(days=-9), ends=timedelta(days=-1))
    leaf = Issued("a.example.com", issuer=old)
    return leaf.pem + old.pem, leaf.key_pem()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ("", issued()[1]), "the certificate is not PEM"),
        (lambda: ("nonsense", issued()[1]), "the certificate is not PEM"),
        (lambda: (issued()[0], "nonsense"), "the private key is not PEM"),
        (lambda: (issued()[0], issued()[1]), "belongs to another certificate"),
        (with_password, "the private key has a password"),
        (lambda: issued(ends=timedelta(seconds=-1)), "expired on"),
        (lambda: issued(begins=timedelta(days=1)), "is not valid before"),
        (expired_chain, "'Old' expired on"),
        (out_of_order, "the chain is out of order: 'www.example.com' is not signed by 'Root'"),
        (lambda: issued(key=rsa.generate_private_key(65537, 1024)), "RSA of 2048 bits or more"),
        (lambda: issued(key=ec.generate_private_key(ec.SECP256K1())), "EC on P-256"),
        (lambda: (issued()[0] * 200, issued()[1]), "larger than"),
    ],
    ids=[
        *("empty", "no-pem", "no-key", "another-key", "password", "expired", "future"),
        *("expired-chain", "order", "short", "curve", "large"),
    ],
)
def test_what_cannot_be_served_is_refused(
    store: Store, make: Callable[[], tuple[str, str]], words: str
) -> None:
    with pytest.raises(InvalidCertificate, match=words):
        store.certificates.add(3, *make())
    assert store.certificates.of_environment(3) == []


def test_an_rsa_key_of_2048_bits_is_taken(store: Store) -> None:
    store.certificates.add(3, *issued(key=rsa.generate_private_key(65537, 2048)))
