"""The certificates as HAProxy reads them: files of chain and key, which only it may read."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from enclave.errors import InvalidCertificate, NotFound
from enclave.files import create_private
from enclave.store.certificates import Certificates
from router.certificate_list import CERTIFICATES, certificate_file, default_certificate

logger = logging.getLogger(__name__)

_DAYS = 3650


class CertificateFiles:
    """Keeps the files of the certificates that are wanted, and no others."""

    def __init__(self, directory: Path, domain: str, certificates: Certificates) -> None:
        self._directory, self._domain = directory, domain
        self._certificates = certificates
        self._servable: set[int] = set()
        self._refused: dict[int, str] = {}

    def bring(self, wanted: frozenset[int]) -> frozenset[int]:
        """Make the files of these certificates and the default one be there.

        Returns those that HAProxy can serve; of the others, ``refused`` tells why.
        Raises ``StoreUnavailable``.
        """
        default = self._directory / default_certificate(self._domain)
        if not default.exists():
            create_private(default, self_signed(self._domain))
        return frozenset(each for each in sorted(wanted) if self._is_there(each))

    def refused(self, wanted: frozenset[int]) -> dict[int, str]:
        """Return which of these certificates HAProxy cannot serve, and why."""
        return {each: why for each, why in self._refused.items() if each in wanted}

    def drop_others(self, wanted: frozenset[int]) -> None:
        """Forget certificates that no route names any more, and remove their files."""
        self._refused, self._servable = self.refused(wanted), self._servable & wanted
        kept = {self._directory / certificate_file(each) for each in wanted}
        for path in (self._directory / CERTIFICATES).glob("*.pem"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def _is_there(self, certificate_id: int) -> bool:
        path = self._directory / certificate_file(certificate_id)
        if certificate_id in self._refused:
            return False
        if certificate_id in self._servable and path.exists():
            return True
        try:
            if not path.exists():  # one that is there may be older than the OpenSSL of today
                create_private(path, self._certificates.key_pair(certificate_id).file())
            _require_servable(path)
        except (NotFound, InvalidCertificate) as error:
            path.unlink(missing_ok=True)
            self._refused[certificate_id] = str(error)
            logger.warning("certificate %d is not served: %s", certificate_id, error)
            return False
        self._servable.add(certificate_id)
        return True


def _require_servable(path: Path) -> None:
    """Raise ``InvalidCertificate`` unless OpenSSL, which HAProxy uses too, would serve it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidCertificate(f"OpenSSL does not take it ({error})") from error


def self_signed(domain: str) -> bytes:
    """Return a certificate for ``domain`` and all names below it with its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"*.{domain}"[-64:])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(f"*.{domain}"), x509.DNSName(domain)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
