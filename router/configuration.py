"""HAProxy's files, from the wanted routes. Pure: nothing here reads or writes.

The configuration is whole by itself, with the addresses of the moment: a HAProxy that was killed
comes back right without us. Its *structure* is all that only a reload can change: everything but
the addresses. The structure's digest is the configuration's ``description``, so a running HAProxy
tells which structure it has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from enclave.certificate import Certificate
from enclave.errors import Misconfigured
from enclave.route import Route, Target
from enclave.settings import Settings
from router.backends import backend_name
from router.certificate_list import certificate_list

UNKNOWN = "unknown"
WHITELISTS = "whitelists"
_TUNNEL = "1h"  # of silence in a WebSocket
_OLD_PROCESSES = 50  # that serve on after as many reloads; the oldest is ended then
_UNFIT = re.compile(r"""['"\\$%,\n]""")
_CHALLENGE = "{ path_beg /.well-known/acme-challenge/ } !{ ssl_fc }"
_TEXT = 'content-type "text/plain; charset=utf-8"'


@dataclass(frozen=True, slots=True)
class Configuration:
    """Files by name, all text, ``main`` apart. It names the others, whose names change with their
    content: whoever reads any ``main`` finds what belongs to it.
    """

    main: str
    others: Mapping[str, str]
    structure: str


def render(
    settings: Settings,
    routes: Sequence[Route],
    slots: Mapping[int, int],
    *,
    certificates: frozenset[int] = frozenset(),
    own: Sequence[Certificate] = (),
    user: str = "",
) -> Configuration:
    """Return the files for these routes, with ``slots[endpoint_id]`` servers each.

    ``certificates`` are those that can be served, ``own`` the installation's, newest first.
    ``user``: HAProxy's own, when root starts it.
    """
    hosts = "".join(
        f"{host} {backend_name(route.endpoint_id)}\n" for route in routes for host in route.hosts
    )
    servable = [each for each in own if each.id in certificates]
    listed = certificate_list(settings.domain, routes, certificates, servable)
    keys = "".join(f"{whitelist_key(route)} 1\n" for route in routes)
    hosts_file, list_file = f"hosts-{_digest(hosts)}.map", f"certificates-{_digest(listed)}.list"
    keys_file = f"{WHITELISTS}-{_digest(keys)}.map"
    heads = [_head(route, f"{_directory(settings)}/{keys_file}") for route in routes]
    frame = _frame(settings, hosts_file, list_file, user)
    counts = "".join(f"{route.endpoint_id} {slots[route.endpoint_id]}\n" for route in routes)
    structure = _digest(frame + "".join(heads) + counts)
    servers = [_servers(route.targets, slots[route.endpoint_id]) for route in routes]
    backends = "".join(head + lines for head, lines in zip(heads, servers, strict=True))
    main = f"global\n    description {structure}\n{frame}{backends}"
    others = {hosts_file: hosts, list_file: listed, keys_file: keys}
    return Configuration(main, others, structure)


def whitelist_key(route: Route) -> str:
    """Return what stands for the endpoint with this very whitelist, in HAProxy's map of them."""
    return f"{backend_name(route.endpoint_id)}-{_digest(' '.join(route.ip_whitelist))}"


def _head(route: Route, keys_file: str) -> str:
    """Return a backend without its servers.

    An HTTP/2 connection would be served by an old process, by an old whitelist, for as long as it
    is used: its next request ends it once the router has taken the whitelist's key from the map.
    """
    lines = [
        f"\nbackend {backend_name(route.endpoint_id)}\n",
        f"    acl current \"str({whitelist_key(route)}),map('{keys_file}')\" -m found\n",
        "    http-request reject if { fc_http_major 2 } !current\n",
    ]
    if route.ip_whitelist:
        for network in route.ip_whitelist:
            lines.append(f"    acl allowed src {ip_network(network, strict=False)}\n")
        refusal = 'string "This app does not answer your address.\\n"'
        lines.append(f"    http-request deny deny_status 403 {_TEXT} {refusal} unless allowed\n")
    return "".join(lines)


def _servers(targets: Sequence[Target], slots: int) -> str:
    used = [f"{target.address}:{target.port}" for target in targets]
    free = ["127.0.0.1:1 disabled"] * (slots - len(targets))
    return "".join(f"    server s{at} {words}\n" for at, words in enumerate(used + free, 1))


def _frame(settings: Settings, hosts_file: str, list_file: str, user: str) -> str:
    """Return everything but the backends; it goes on with the section ``global``."""
    idle = f"{round(settings.router_idle_seconds * 1000)}ms"
    drop = f"    user {user}\n    group {user}\n" if user else ""
    proxies = "".join(f"    acl from_proxy src {each}\n" for each in _proxies(settings.proxies))
    if not proxies:
        proxies = "    acl from_proxy always_false\n"
    http = f"{settings.router_host or '*'}:{settings.router_http_port}"
    https = f"{settings.router_host or '*'}:{settings.router_https_port}"
    challenges = f"    use_backend certbot if {_CHALLENGE}\n" if settings.certbot_port else ""
    directory = _directory(settings)  # the file of a map is not looked for in the default path
    return f"""\
    default-path config
    maxconn {settings.router_connections}
    no strict-limits
    mworker-max-reloads {_OLD_PROCESSES}
    hard-stop-after {_TUNNEL}
    close-spread-time infinite
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
{drop}
defaults
    mode http
    maxconn {settings.router_connections}
    timeout http-request 30s
    timeout http-keep-alive 60s
    timeout connect 5s
    timeout queue 5s
    timeout client {idle}
    timeout server {idle}
    timeout tunnel {_TUNNEL}
    balance leastconn
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    http-error status 502 {_TEXT} string "The app ended the connection without an answer.\\n"
    http-error status 503 {_TEXT} string "No container of this app takes requests now.\\n"
    http-error status 504 {_TEXT} string "The app did not answer in time.\\n"

frontend apps
    bind {http}
    bind {https} ssl crt-list {list_file} alpn h2,http/1.1
{proxies}\
    http-request set-var(txn.proxied) bool(true) if from_proxy
    acl proxied var(txn.proxied) -m bool
    acl forwarded req.hdr(x-forwarded-for) -m found
    http-request set-src req.hdr_ip(x-forwarded-for,-1) if proxied forwarded
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }} !proxied
    http-request set-header X-Forwarded-Port %[dst_port] if !proxied
    # HAProxy compares a name up to its first NUL, an app perhaps all of it.
    http-request deny deny_status 400 if {{ req.fhdr(host),hex -m reg ^(..)*00 }}
    # What was begun may be sent again only if once or twice is the same (RFC 9110, 9.2.2).
    http-request disable-l7-retry unless {{ method GET HEAD OPTIONS }}
    # After a reload an old process does not just drop a connection, on which a request may be
    # coming (close-spread-time): it says that the next answer is the last.
    http-after-response set-header Connection close if {{ stopping }}
{challenges}\
    use_backend "%[req.fhdr(host),field(1,:),lower,map('{directory}/{hosts_file}',{UNKNOWN})]"
    default_backend {UNKNOWN}

backend {UNKNOWN}
    http-request return status 404 {_TEXT} string "No app has this name.\\n"
{_hosts_frontend(settings, f"{directory}/{hosts_file}")}\
{_certbot(settings)}"""


def _hosts_frontend(settings: Settings, hosts_file: str) -> str:
    """Return what tells a Caddy on this machine whether a host is an endpoint (``?domain=HOST``).

    It reads the map that requests are led by, and nothing else: no stranger reaches 127.0.0.1.
    """
    if not settings.router_hosts_port:
        return ""
    return f"""
frontend hosts
    bind 127.0.0.1:{settings.router_hosts_port}
    acl known "url_param(domain),lower,map('{hosts_file}')" -m found
    http-request return status 200 {_TEXT} string "An app has this name.\\n" if known
    http-request return status 404 {_TEXT} string "No app has this name.\\n"
"""


def _certbot(settings: Settings) -> str:
    """Return where certbot answers the challenges of RFC 8555, 8.3, while it asks for something."""
    if not settings.certbot_port:
        return ""
    return f"""
backend certbot
    retries 0
    http-error status 503 {_TEXT} string "No certificate is being asked for now.\\n"
    server certbot 127.0.0.1:{settings.certbot_port}
"""


def _directory(settings: Settings) -> str:
    directory = str(settings.haproxy)
    if unfit := _UNFIT.search(directory):
        raise Misconfigured(
            f"{directory}: HAProxy cannot have {unfit[0]!r} in a path; choose another directory"
        )
    return directory


def _proxies(text: str) -> list[str]:
    names = [each.strip() for each in text.split(",") if each.strip()]
    try:
        return ["0.0.0.0/0 ::/0" if each == "*" else str(ip_network(each)) for each in names]
    except ValueError as error:
        raise Misconfigured(f"ENCLAVE_PROXIES: {error}") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
