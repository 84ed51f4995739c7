"""Which certificates are kept: what is refused here would stop HAProxy, or a browser."""

import os
import ssl
import subprocess
from collections.abc import Callable
from datetime import timedelta

import pytest
from certificates import Issued, chained_certificate, given_certificate, issued_by
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

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


def for_pss_alone() -> tuple[str, str]:
    """As the program makes it: the library writes no such key."""
    words = "req -x509 -newkey RSA-PSS -pkeyopt rsa_keygen_bits:2048 -nodes -subj /CN=a -keyout -"
    made = subprocess.run(
        ["openssl", *words.split()], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    at = made.index("-----BEGIN CERTIFICATE")
    return made[at:], made[:at]


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
        (
            lambda: issued_by(rsa.generate_private_key(65537, 1024), "a.example.com"),
            "the key of 'Authority' is too weak",
        ),
        (
            lambda: issued_by(ec.generate_private_key(ec.SECP192R1()), "a.example.com"),
            "the key of 'Authority' is too weak",
        ),
        (
            lambda: issued_by(dsa.generate_private_key(2048), "a.example.com"),
            "the key of 'Authority' is too weak",
        ),
        (for_pss_alone, "for RSA-PSS alone"),
        (lambda: (issued()[0] * 200, issued()[1]), "larger than"),
    ],
    ids=[
        *("empty", "no-pem", "no-key", "another-key", "password", "expired", "future"),
        *("expired-chain", "order", "short", "curve", "short-authority", "authority-curve"),
        *("dsa-authority", "pss", "large"),
    ],
)
def test_what_cannot_be_served_is_refused(
    store: Store, make: Callable[[], tuple[str, str]], words: str
) -> None:
    with pytest.raises(InvalidCertificate, match=words):
        store.certificates.add(3, *make())
    assert store.certificates.of_environment(3) == []


STRANGER = Issued("stranger.example.com")
BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
WEAK = Issued("weak", key=rsa.generate_private_key(65537, 1024)).pem


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        (STRANGER.key_pem(), "", ""),
        ("", "", BROKEN),
        ("", "", STRANGER.pem),
        ("", "", WEAK),
        ("", "\0", ""),
        ("Bag Attributes\n", "Key Attributes: <No Attributes>\n", "\n\n"),
    ],
    ids=["foreign-key", "broken", "second", "weak-second", "nul", "remarks"],
)
def test_what_else_a_file_holds_is_not_kept(
    store: Store, before: str, between: str, after: str
) -> None:
    chain, key, _ = chained_certificate("www.example.com")
    added = store.certificates.add(3, before + chain, between + key + after)
    kept = store.certificates.key_pair(added.id)
    assert kept == KeyPair(chain, key)
    assert openssl_takes(kept)


@pytest.mark.parametrize(
    "make",
    [
        lambda: issued(key=rsa.generate_private_key(65537, 2048)),
        lambda: issued(key=ec.generate_private_key(ec.SECP384R1())),
        lambda: issued(key=ec.generate_private_key(ec.SECP521R1())),
        lambda: issued_by(rsa.generate_private_key(65537, 2048), "a.example.com"),
        lambda: issued_by(ec.generate_private_key(ec.SECP224R1()), "a.example.com"),
        lambda: issued_by(ec.generate_private_key(ec.BrainpoolP256R1()), "a.example.com"),
        lambda: issued_by(ed25519.Ed25519PrivateKey.generate(), "a.example.com"),
        lambda: issued_by(ed448.Ed448PrivateKey.generate(), "a.example.com"),
    ],
    ids=[
        *("rsa", "p384", "p521", "by-rsa", "by-p224", "by-brainpool", "by-ed25519", "by-ed448"),
    ],
)
def test_what_is_taken_openssl_takes_too(store: Store, make: Callable[[], tuple[str, str]]) -> None:
    added = store.certificates.add(3, *make())
    assert openssl_takes(store.certificates.key_pair(added.id))


def openssl_takes(pair: KeyPair) -> bool:
    """Whether OpenSSL, which HAProxy uses, would serve it; raises its own words if not."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, pair.file())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return True
