"""Certificates that users give for their own domains; their keys are never shown."""

from __future__ import annotations

import os
import re
import ssl

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictStr

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from enclave.access import permitted_certificate
from enclave.certificate import Certificate, ReadCertificate
from enclave.errors import InvalidCertificate, InvalidEndpoint, NotFound
from enclave.people import Role

router = APIRouter(tags=["certificates"])

_ADDRESS = re.compile(r"(?:.*/certificates/)?([0-9]{1,15})")


class NewCertificate(BaseModel):
    """PEM: the certificate with its chain, and the key without a password."""

    certificate_body: StrictStr
    private_key: StrictStr = Field(repr=False)


@router.get("/accounts/{account_id}/certificates", response_model=shapes.Certificates)
def list_certificates(account_id: int, caller: Caller, page: Paging) -> Resource:
    """List the environment's certificates, oldest first."""
    caller.environment(account_id)
    address = caller.links.to("accounts", account_id, "certificates")
    found = caller.store.certificates.of_environment(account_id)
    return collected(address, "certificates", found, lambda each: _certificate(caller, each), page)


@router.post(
    "/accounts/{account_id}/certificates", status_code=201, response_model=shapes.Certificate
)
def create_certificate(account_id: int, body: NewCertificate, caller: Caller) -> Resource:
    """Keep a certificate of the environment; its endpoints may use it."""
    caller.environment(account_id, Role.DEPLOY)
    added = caller.store.certificates.add(
        account_id,
        body.certificate_body,
        body.private_key,
        check=_require_servable,
        actor=caller.actor,
    )
    return _certificate(caller, added)


@router.get("/certificates/{certificate_id}", response_model=shapes.Certificate)
def show_certificate(certificate_id: int, caller: Caller) -> Resource:
    """Show what may be known of one certificate."""
    return _certificate(
        caller, permitted_certificate(caller.store, caller.principal, certificate_id, Role.READ)
    )


def named_certificate(caller: Call, environment_id: int, named: str | int) -> Certificate:
    """Return the environment's certificate that a client names by address or id.

    Raises ``InvalidEndpoint``, in the same words for one that is not and one that the caller may
    not see: a token for one app sees none.
    """
    match = _ADDRESS.fullmatch(str(named))
    number = int(match[1]) if match else 0
    try:
        found = permitted_certificate(caller.store, caller.principal, number, Role.READ)
    except NotFound:
        found = None
    if found is None or found.environment_id != environment_id:
        raise InvalidEndpoint("The environment has no such certificate: create it there first.")
    return found


def domain_of(certificate: Certificate, asked: str | None) -> str:
    """Return the domain of an endpoint with that certificate: the one asked for, or its own.

    Raises ``InvalidEndpoint`` when the certificate is for another one, or for no single one.
    """
    names = ", ".join(certificate.names) or "no host"
    if asked:
        if not certificate.covers(asked):
            raise InvalidEndpoint(f"The certificate is for {names}, not for {asked}.")
        return asked
    single = [name for name in certificate.names if not name.startswith("*.")]
    if not single:
        raise InvalidEndpoint(f"The certificate is for {names}: say which host by --domain.")
    return single[0]


def _require_servable(read: ReadCertificate) -> None:
    """Raise ``InvalidCertificate`` unless OpenSSL, which HAProxy uses too, would serve it.

    The router looks again; here it is for whoever gives it to hear of it at once. The file that
    OpenSSL wants is in memory alone: it holds the key.
    """
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, read.pair.file())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (ssl.SSLError, ValueError) as error:
        raise InvalidCertificate(f"OpenSSL does not take it ({error})") from error
    finally:
        os.close(descriptor)


def _certificate(caller: Call, certificate: Certificate) -> Resource:
    return {
        "_type": "certificate",
        "id": certificate.id,
        "common_name": certificate.common_name,
        "subject_alternative_names": list(certificate.names),
        "issuer_common_name": certificate.issuer,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "sha256_fingerprint": certificate.sha256,
        "created_at": certificate.created_at,
        "_links": caller.links.hal(
            self=["certificates", certificate.id], account=["accounts", certificate.environment_id]
        ),
    }
