"""This installation's settings, from ``ENCLAVE_*`` variables (pydantic-settings)."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from enclave.errors import Misconfigured
from enclave.webhook_networks import Networks

_ENGINE = "unix:///var/run/docker.sock"
_LEAST_OBJECT = 16 << 20  # bytes: git's own buffers have room within the limit
_SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path, less its NUL: unix(7)
_HAPROXY_SUFFIX_BYTES = 14  # HAProxy binds PATH.PID.tmp first, and renames it


class Settings(BaseSettings):
    """Every process reads the same names; each uses the ones it needs.

    Times are seconds, sizes bytes, unless the name says otherwise.
    """

    model_config = SettingsConfigDict(env_prefix="ENCLAVE_", extra="ignore")

    data: Path = Field(Path("/var/lib/enclave"), description="repositories, keys, Redis's files")
    redis_url: str = Field("", description="redis:// or unix:// URL; empty: data/redis.sock")
    secret_keys: str = Field(
        "", description="Fernet keys, newest first, comma between; empty: data/secret.keys"
    )

    http_host: str = "127.0.0.1"
    http_port: int = 8080
    ssh_host: str = "127.0.0.1"
    ssh_port: int = 8022
    portal_port: int = Field(8023, description="the log portal (SSH, on SSH_HOST); not 22")
    public_url: str = Field("", description="the URL users type; empty: http://localhost:HTTP_PORT")
    ssh_public_host: str = Field("localhost", description="the host users type for git over SSH")

    docker_host: str = Field("", description="Engine URL; empty: DOCKER_HOST or the usual socket")
    network: str = Field("", description="bridge of the containers; empty: one per installation")
    subnet: str = Field("", description="the containers' addresses (CIDR); empty: one in 10/8")
    workers: int = Field(2, ge=1, le=64, description="operations at a time, of different apps")

    settle_seconds: float = Field(
        2.0, ge=0, description="a container that lives so long is healthy"
    )
    stop_seconds: float = Field(10.0, ge=0, description="from SIGTERM to SIGKILL")
    pull_seconds: float = Field(1800.0, gt=0, description="the longest pull")
    engine_seconds: float = Field(
        60.0, gt=0, description="for each answer of the Engine that is not itself a wait"
    )
    command_seconds: float = Field(1800.0, gt=0, description="each before_release command")
    operation_seconds: float = Field(
        7200.0, gt=0, description="an operation as a whole, before it is rolled back"
    )
    worker_stop_seconds: float = Field(
        90.0, gt=0, description="for a worker of `enclave up` to finish what it runs when stopped"
    )
    engine_free_bytes: int = Field(
        1 << 30, ge=0, description="no pull leaves less on the Engine's disk"
    )
    releases_kept: int = Field(
        5, gt=0, description="newest releases of an app that keep their images"
    )
    credential_helpers: str = Field(
        "", description="Docker credential helpers that apps may name, comma between"
    )
    credential_helper_seconds: int = Field(
        3600, ge=0, description="for which what a credential helper gave is used again"
    )
    logs_kept: int = Field(50, gt=0, description="operations of an app whose logs are kept")
    activity_kept: int = Field(
        1000, gt=0, description="newest changes kept of an app, of an environment; tenfold of all"
    )
    log_output_characters: int = Field(
        1 << 20, ge=0, description="of commands' output in one log: half beginnings, half ends"
    )
    lease_seconds: float = Field(15.0, gt=1, description="a silent worker's app is free after it")

    keepalive_seconds: float = Field(5.0, gt=0, description="silence before a keep-alive")
    push_bytes: int = Field(2 << 30, gt=0, description="the largest pack")
    push_objects: int = Field(2_000_000, gt=0, description="objects in one pack")
    push_object_bytes: int = Field(1 << 30, ge=_LEAST_OBJECT, description="the largest object")
    push_delta_bytes: int = Field(
        256 << 20,
        ge=_LEAST_OBJECT,
        description="the largest object that comes as a delta, or is not a file",
    )
    push_seconds: float = Field(3600.0, gt=0, description="wall clock for receiving one pack")
    push_idle_seconds: float = Field(
        60.0, gt=0, description="silence of a client that should be sending; all of its commands"
    )
    push_cpu_seconds: int = Field(600, gt=0, description="CPU of one index-pack")
    push_memory_bytes: int = Field(1 << 30, gt=0, description="address space of one index-pack")
    push_commands: int = Field(5000, gt=0, description="refs in one push")
    push_command_bytes: int = Field(2 << 20, gt=0, description="all commands of one push together")
    push_options: int = Field(64, ge=0, description="push options in one push")
    push_option_bytes: int = Field(64 << 10, ge=0, description="all push options together")
    push_slots: int = Field(16, gt=0, description="packs being indexed at a time; as many fetches")
    push_slots_a_user: int = Field(8, gt=0, description="of these, one user's")
    slow_bytes: int = Field(
        4096, ge=0, description="a second: who moves less makes room when all places are taken"
    )
    push_waiting: int = Field(
        1000, gt=0, description="pushes at a time that only wait for their deploy"
    )
    free_disk_bytes: int = Field(256 << 20, ge=0, description="a push is refused below it")
    repack_packs: int = Field(
        20, ge=2, description="packs of an app after which they are packed into few"
    )

    connections: int = Field(1024, gt=0, description="connections at a time, of one receiver")
    connections_a_source: int = Field(128, gt=0, description="of these, from one address")
    login_seconds: float = Field(
        30.0, gt=0, description="from connecting to being logged in, or to a whole request's head"
    )
    request_head_bytes: int = Field(
        64 << 10, gt=0, description="the largest head of an HTTP request"
    )
    idle_seconds: float = Field(
        600.0, gt=0, description="an SSH connection on which nothing runs is closed after it"
    )
    login_failures: int = Field(
        20, gt=0, description="failed logins from one address in a minute, before it must wait"
    )
    logins: int = Field(
        60, gt=0, description="logins by password from one address in a minute, right or wrong"
    )
    proxies: str = Field(
        "", description="addresses whose X-Forwarded-For is believed, comma between"
    )
    attendants_host: str = Field(
        "127.0.0.1", description="where a receiver waits for attendants: they must reach it"
    )
    receivers: int = Field(1, ge=1, le=64, description="receiver processes of `enclave up`")

    domain: str = Field("localhost", description="apps get names below it: app-ID.DOMAIN")
    router_host: str = Field("127.0.0.1", description="where requests for apps come in")
    router_http_port: int = 8081
    router_https_port: int = 8444
    router_hosts_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="on 127.0.0.1, tells Caddy which hosts are endpoints; 0: none",
    )
    certbot_port: int = Field(
        0, ge=0, le=65535, description="on 127.0.0.1, where certbot answers challenges; 0: nowhere"
    )
    router_connections: int = Field(8192, gt=0, description="requests for apps at a time")
    router_idle_seconds: float = Field(
        60.0, gt=0, description="silence of an app, or of its client, before it is cut off"
    )
    drain_seconds: float = Field(
        60.0, ge=0, description="for requests to a container that is replaced to end by themselves"
    )

    webhook_networks: str = Field(
        "", description="not public, but webhooks may reach them (CIDR), comma between"
    )
    couriers: int = Field(2, ge=1, le=64, description="webhooks at a time that are told something")

    token_seconds: int = Field(7 * 24 * 3600, description="a token's life when none is asked for")

    @field_validator("webhook_networks")
    @classmethod
    def _networks(cls, text: str) -> str:
        Networks.read(text)
        return text

    @property
    def webhook_exceptions(self) -> Networks:
        """What is not public, and webhooks may reach all the same."""
        return Networks.read(self.webhook_networks)

    @property
    def resolved_redis_url(self) -> str:
        """The Redis to talk to: the one given, or the private one of ``enclave up``."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def redis_socket(self) -> Path:
        """The socket of ``enclave up``'s own Redis; ``Misconfigured`` when the path is too long."""
        return self._socket("redis.sock")

    @property
    def haproxy(self) -> Path:
        """Where HAProxy's configuration, certificates and socket are."""
        return self.data.resolve() / "haproxy"

    @property
    def haproxy_socket(self) -> Path:
        """The socket on which HAProxy takes commands; ``Misconfigured`` as ``redis_socket``."""
        return self._socket("haproxy/master.sock", spare=_HAPROXY_SUFFIX_BYTES)

    def _socket(self, name: str, *, spare: int = 0) -> Path:
        path = self.data.resolve() / name
        longest = _SOCKET_PATH_BYTES - spare
        if len(bytes(path)) > longest:
            raise Misconfigured(
                f"{path} is longer than the {longest} bytes a unix socket's path may "
                "have: choose a shorter data directory"
            )
        return path

    @property
    def repositories(self) -> Path:
        """Where the bare git repositories are, one directory an app."""
        return self.data / "repositories"

    def repository(self, app_id: int) -> Path:
        """Where an app's bare git repository is, which need not exist yet."""
        return self.repositories / f"{app_id}.git"

    @property
    def url(self) -> str:
        """The root URL of API and git over HTTP, without a slash at its end."""
        return (self.public_url or f"http://localhost:{self.http_port}").rstrip("/")

    @property
    def engine_url(self) -> str:
        """Where the Docker Engine is: our setting, Docker's own variable, or the usual place."""
        return self.docker_host or os.environ.get("DOCKER_HOST") or _ENGINE

    @property
    def bridge(self) -> str:
        """The containers' network: named for the data directory, so installations keep apart."""
        return self.network or f"enclave-{self._digest.hex()[:6]}"

    @property
    def addresses(self) -> str:
        """The containers' subnet: a /16 of 10.64/10, so that engines side by side seldom clash."""
        return self.subnet or f"10.{64 + self._digest[0] % 64}.0.0/16"

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(bytes(self.data.resolve())).digest()


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return this process's settings. Raises ``Misconfigured`` with every wrong variable named."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"ENCLAVE_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors()
        )
        raise Misconfigured(wrong) from error
