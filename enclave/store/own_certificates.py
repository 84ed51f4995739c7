"""The installation's own certificates: its operator gives them, for whatever names they are."""

from __future__ import annotations

from enclave.certificate import Certificate, ReadCertificate
from enclave.errors import InvalidCertificate, InvalidRoute, NotFound, OperationFailed
from enclave.route import require_host
from enclave.store.certificates import Certificates
from enclave.store.routes import Routes

INSTALLATION = 0  # stands where the environment of a given certificate would


class OwnCertificates:
    """They serve each name that they are for, unless its endpoint has a certificate of its own."""

    def __init__(self, certificates: Certificates, routes: Routes) -> None:
        self._certificates, self._routes = certificates, routes

    def give(self, chain: str, key: str) -> tuple[Certificate, int]:
        """Keep a certificate (PEM) beside those for the same names: ``settle`` says which stay.

        Returns it, and the revision of the routes to settle. Raises ``InvalidCertificate``.
        """
        given = self._certificates.add(INSTALLATION, chain, key, check=_require_hosts)
        return given, self._routes.announce()

    def settle(self, given: Certificate, revision: int, *, seconds: float) -> None:
        """Return when it is served, and forget the older ones for the same names.

        If it is not served within ``seconds``, it is forgotten itself, and they are served on.
        Raises ``CertificateNotServed`` or ``StepTimedOut`` then.
        """
        try:
            self._routes.wait_applied(revision, seconds)
            self._routes.require_served(given.id)
        except OperationFailed:
            self._announce_without([given])
            raise
        self._announce_without(
            [
                each
                for each in self.all()
                if each.id < given.id and set(each.names) == set(given.names)
            ]
        )

    def remove(self, certificate_id: int) -> int:
        """Forget a certificate; return the revision to wait for. Raises ``NotFound``."""
        found = [each for each in self.all() if each.id == certificate_id]
        if not found:
            raise NotFound(f"the installation has no certificate {certificate_id}")
        return self._announce_without(found)

    def all(self) -> list[Certificate]:
        """Return all, newest first."""
        return self._certificates.of_environment(INSTALLATION)[::-1]

    def _announce_without(self, unwanted: list[Certificate]) -> int:
        for each in unwanted:
            self._certificates.remove(each)
        return self._routes.announce()


def _require_hosts(certificate: ReadCertificate) -> None:
    """Raise ``InvalidCertificate`` unless it is for hosts: they become words of a file."""
    try:
        for name in certificate.names:
            require_host(name.lower().removeprefix("*."))
    except InvalidRoute as error:
        raise InvalidCertificate(f"it is for something that is no host: {error}") from error
    if not certificate.names:
        raise InvalidCertificate("it names no host (subjectAltName)")
