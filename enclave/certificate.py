"""Certificates that users give: read, and judged before they are kept.

A certificate comes as PEM: itself first, then the chain that leads to (without) the root, and the
private key without a password. What is kept is written anew from what was read: nothing else that
stood in a user's files (another key, a broken block) reaches HAProxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)

from enclave.clock import iso
from enclave.errors import InvalidCertificate

_MOST_BYTES = 64 << 10
_LEAST_RSA_BITS = 2048  # OpenSSL's security level 2, which Debian sets, takes no less
_LEAST_CURVE_BITS = 224  # the same level
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_PEM = serialization.Encoding.PEM
_BROKEN_HASHES = (hashes.MD5, hashes.SHA1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What may be known of a certificate. ``names`` are the hosts it is for, as it says them."""

    id: int
    environment_id: int
    common_name: str
    names: tuple[str, ...]
    issuer: str
    not_before: str
    not_after: str
    sha256: str
    created_at: str

    def covers(self, host: str) -> bool:
        """Whether it is for that host; ``*`` stands for one whole label (RFC 9525, 6.3)."""
        host = host.lower().removesuffix(".")
        wildcard = f"*.{host.partition('.')[2]}"
        return any(name.lower() in (host, wildcard) for name in self.names)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What HAProxy serves: the certificate with its chain, and the private key; all PEM."""

    chain: str
    key: str

    def file(self) -> bytes:
        """Return the file that HAProxy reads."""
        return f"{self.chain.strip()}\n{self.key.strip()}\n".encode()


@dataclass(frozen=True, slots=True)
class ReadCertificate:
    """A certificate that may be kept: as it was read, and as it is written from that."""

    certificate: x509.Certificate
    pair: KeyPair

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts it is for, as it says them."""
        return _names(self.certificate)


def read_certificate(pair: KeyPair, *, moment: datetime) -> ReadCertificate:
    """Return the certificate if it can be served at ``moment``; raises ``InvalidCertificate``."""
    if len(pair.chain) + len(pair.key) > _MOST_BYTES:
        raise InvalidCertificate(f"certificate and key are larger than {_MOST_BYTES} bytes")
    try:
        chain = x509.load_pem_x509_certificates(pair.chain.encode())
    except ValueError as error:
        raise InvalidCertificate(
            "the certificate is not PEM: it begins with -----BEGIN CERTIFICATE-----"
        ) from error
    certificate = chain[0]
    key = _private_key(pair.key)
    if key.public_key() != certificate.public_key():
        raise InvalidCertificate("the private key belongs to another certificate")
    if certificate.public_key_algorithm_oid == x509.PublicKeyAlgorithmOID.RSASSA_PSS:
        raise InvalidCertificate("the key is for RSA-PSS alone: take one for RSA")
    for each in chain:
        _require_valid(each, moment)
        _require_strong(each)
    for lower, upper in pairwise(chain):
        _require_issued_by(lower, upper)
    return ReadCertificate(certificate, _written(chain, key))


def record_of(
    certificate: x509.Certificate, *, certificate_id: int, environment_id: int, created_at: str
) -> Certificate:
    """Return what may be known of a certificate."""
    return Certificate(
        certificate_id,
        environment_id,
        _common_name(certificate.subject),
        _names(certificate),
        _common_name(certificate.issuer) or certificate.issuer.rfc4514_string(),
        iso(certificate.not_valid_before_utc.timestamp()),
        iso(certificate.not_valid_after_utc.timestamp()),
        certificate.fingerprint(hashes.SHA256()).hex(),
        created_at,
    )


def now() -> datetime:
    """Return the moment at which certificates are judged."""
    return datetime.now(UTC)


def _private_key(text: str) -> PrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise InvalidCertificate("the private key has a password: give it without") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCertificate("the private key is not PEM of a known kind") from error
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= _LEAST_RSA_BITS:
            return key
        case ec.EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return key
        case _:
            raise InvalidCertificate(
                f"the key must be RSA of {_LEAST_RSA_BITS} bits or more, or EC on P-256, P-384 "
                "or P-521"
            )


def _written(chain: Sequence[x509.Certificate], key: PrivateKeyTypes) -> KeyPair:
    plain = serialization.NoEncryption()
    return KeyPair(
        "".join(each.public_bytes(_PEM).decode() for each in chain),
        key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain).decode(),
    )


def _require_valid(certificate: x509.Certificate, moment: datetime) -> None:
    name = _subject(certificate)
    if certificate.not_valid_after_utc <= moment:
        raise InvalidCertificate(
            f"{name!r} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: give a newer one"
        )
    if certificate.not_valid_before_utc > moment:
        raise InvalidCertificate(
            f"{name!r} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        )


def _require_strong(certificate: x509.Certificate) -> None:
    """Refuse what OpenSSL's security level 2 does: one weak link, and it serves nothing of it."""
    name = _subject(certificate)
    try:
        strong = _is_strong(certificate.public_key())
        broken = isinstance(certificate.signature_hash_algorithm, _BROKEN_HASHES)
    except UnsupportedAlgorithm as error:
        raise InvalidCertificate(f"{name!r} is signed in a way nobody knows") from error
    except ValueError as error:
        raise InvalidCertificate(f"{name!r} has a key that cannot be read") from error
    if not strong:
        raise InvalidCertificate(
            f"the key of {name!r} is too weak to be served: RSA has {_LEAST_RSA_BITS} bits or more"
        )
    if broken and certificate.subject != certificate.issuer:  # nobody checks a root's own
        raise InvalidCertificate(f"{name!r} is signed with MD5 or SHA-1, which browsers refuse")


def _is_strong(key: CertificatePublicKeyTypes) -> bool:
    match key:
        case rsa.RSAPublicKey():
            return key.key_size >= _LEAST_RSA_BITS
        case ec.EllipticCurvePublicKey():
            return key.curve.key_size >= _LEAST_CURVE_BITS
        case _:
            return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _require_issued_by(lower: x509.Certificate, upper: x509.Certificate) -> None:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise InvalidCertificate(
            f"the chain is out of order: {_common_name(lower.subject)!r} is not signed by "
            f"{_common_name(upper.subject)!r}, which follows it. The certificate comes first, then "
            "the one that signed it, and so on"
        ) from error


def _subject(certificate: x509.Certificate) -> str:
    return _common_name(certificate.subject) or certificate.subject.rfc4514_string()


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        common = _common_name(certificate.subject)
        return (common,) if common else ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))
