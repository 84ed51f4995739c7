"""HAProxy's list of certificates: which file serves which names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from enclave.certificate import Certificate
from enclave.route import Route, default_host

CERTIFICATES = "certificates"


def certificate_file(certificate_id: int) -> str:
    """Return where a certificate with its chain and key is, from HAProxy's directory."""
    return f"{CERTIFICATES}/{certificate_id}.pem"


def default_certificate(domain: str) -> str:
    """Return where the self-signed certificate is, from HAProxy's directory."""
    return f"default-{domain}.pem"


def certificate_list(
    domain: str, routes: Sequence[Route], servable: frozenset[int], own: Sequence[Certificate]
) -> str:
    """Return a file and its names a line. The first line is also for all names that have none.

    An endpoint's own certificate goes before one of the installation, which are in ``own``; of
    those, the first counts. Without one for the names below ``domain``, a self-signed one is.
    """
    given = {
        host: route.certificate_id
        for route in routes
        for host in route.hosts
        if route.certificate_id in servable
    }
    taken = set(given)
    lines = [_line(default_certificate(domain), [f"*.{domain}", domain])]
    if any(each.covers(default_host(0, domain)) for each in own):
        lines.clear()
    for each in sorted(own, key=lambda each: not each.covers(default_host(0, domain))):
        names = [name for name in map(str.lower, each.names) if name not in taken]
        taken.update(names)
        if names:
            lines.append(_line(certificate_file(each.id), names))
    for route in routes:
        if route.certificate_id in servable and route.certificate_id is not None and route.hosts:
            lines.append(_line(certificate_file(route.certificate_id), route.hosts))
    return "".join(lines)


def _line(file: str, names: Sequence[str]) -> str:
    return f"{file} {' '.join(names)}\n"
