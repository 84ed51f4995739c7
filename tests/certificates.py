"""Certificates as users give them, made in a moment."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Issued:
    """A certificate with its key, signed by another one or by itself."""

    def __init__(
        self,
        *names: str,
        issuer: Issued | None = None,
        key: CertificateIssuerPrivateKeyTypes | None = None,
        authority: bool = False,
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=90),
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if not authority:
            hosts = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(hosts, critical=False)
        signer = issuer.key if issuer else self.key
        edwards = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        self.certificate = builder.sign(signer, None if edwards else hashes.SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self, password: bytes | None = None) -> str:
        encryption = (
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption()
        )
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        ).decode()


def issued_by(key: CertificateIssuerPrivateKeyTypes, *names: str) -> tuple[str, str]:
    """Return chain and key (PEM) for names, signed by an authority with that key."""
    authority = Issued("Authority", key=key, authority=True)
    issued = Issued(*names, issuer=authority)
    return issued.pem + authority.pem, issued.key_pem()


def given_certificate(*names: str) -> tuple[str, str]:
    """Return the PEM of a certificate for these names and of its key."""
    issued = Issued(*names)
    return issued.pem, issued.key_pem()


def chained_certificate(name: str) -> tuple[str, str, str]:
    """Return chain (itself, then what signed it), key, and the root that signed that; all PEM."""
    root = Issued("Root", authority=True)
    middle = Issued("Middle", issuer=root, authority=True)
    leaf = Issued(name, issuer=middle)
    return leaf.pem + middle.pem, leaf.key_pem(), root.pem


def served_certificate(port: int, server_name: str) -> bytes:
    """Return the certificate (DER) that 127.0.0.1 shows to who asks for a name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=server_name) as client,
    ):
        der = client.getpeercert(binary_form=True)
    assert der
    return der


def names_of(der: bytes) -> set[str]:
    """Return the hosts that a certificate (DER) is for."""
    certificate = x509.load_der_x509_certificate(der)
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))
