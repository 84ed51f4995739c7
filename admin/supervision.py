"""``enclave up``: a private Redis, the receiver, HAProxy and workers under supervisor, in one
directory.

supervisord restarts what dies. Each child dies with supervisord (``setpriv --pdeathsig``), also
when that is killed with -9, and Redis holds a lock on its directory: two never write one file.
"""

from __future__ import annotations

import configparser
import fcntl
import io
import math
import os
import pwd
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path

from enclave.errors import Misconfigured
from enclave.settings import Settings

_LOG_BYTES = 10 << 20
_LOCK = "up.lock"
_PORT_SECONDS = 5.0
_PAUSE = 0.1
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # where HAProxy is, and not every user looks
_PROGRAMS = {
    "redis-server": "redis-server",
    "git": "git",
    "haproxy": "haproxy",
    "setpriv": "util-linux",
    "flock": "util-linux",
}


def run_platform(settings: Settings) -> None:
    """Write the configuration and become supervisord; returns never. Raises ``Misconfigured``."""
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}"
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise Misconfigured(f"{program} is missing: apt-get install {package}")
    data = settings.data.resolve()
    if "%" in str(data):
        raise Misconfigured(f"{data}: supervisord cannot have a % in a path; choose another")
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    settings.haproxy_socket.parent.mkdir(exist_ok=True, mode=0o700)
    _take_place(settings, data)
    (data / "redis").mkdir(exist_ok=True)
    (data / "log").mkdir(exist_ok=True)
    (data / "redis.conf").write_text(redis_configuration(settings, data))
    (data / "supervisord.conf").write_text(supervisor_configuration(settings, data))
    os.environ |= {"ENCLAVE_DATA": str(data), "PYTHONUNBUFFERED": "1"}
    supervisord = [sys.executable, "-m", "supervisor.supervisord"]
    lock = ["flock", "--no-fork", "--nonblock", str(data / _LOCK)]
    os.execvp("flock", [*lock, *supervisord, "-c", str(data / "supervisord.conf")])  # noqa: S606


def _take_place(settings: Settings, data: Path) -> None:
    """Check that nobody runs on this directory and nobody listens on these ports.

    The ports get a few seconds: those who listen may belong to a platform that is just dying.
    Raises ``Misconfigured``.
    """
    with (data / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misconfigured(f"another `enclave up` runs on {data}: stop it first") from error
    ports = {
        "--http-port": (settings.http_host, settings.http_port),
        "--ssh-port": (settings.ssh_host, settings.ssh_port),
        "ENCLAVE_PORTAL_PORT": (settings.ssh_host, settings.portal_port),
        "ENCLAVE_ROUTER_HTTP_PORT": (settings.router_host, settings.router_http_port),
        "ENCLAVE_ROUTER_HTTPS_PORT": (settings.router_host, settings.router_https_port),
    }
    if settings.router_hosts_port:
        ports["ENCLAVE_ROUTER_HOSTS_PORT"] = ("127.0.0.1", settings.router_hosts_port)
    deadline = time.monotonic() + _PORT_SECONDS
    for option, (host, port) in ports.items():
        while not _is_free(host, port):
            if time.monotonic() > deadline:
                raise Misconfigured(f"port {port} of {host} is taken: choose another, {option} N")
            time.sleep(_PAUSE)


def _is_free(host: str, port: int) -> bool:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def redis_configuration(settings: Settings, data: Path) -> str:
    """Return redis.conf: on a unix socket only, every write on the disk before it is answered."""
    return "\n".join(
        [
            "port 0",
            f"unixsocket {_in_redis(settings.redis_socket)}",
            "unixsocketperm 600",
            f"dir {_in_redis(data / 'redis')}",
            f"pidfile {_in_redis(data / 'redis.pid')}",
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "loglevel warning",
            "",
        ]
    )


def supervisor_configuration(settings: Settings, data: Path) -> str:
    """Return supervisord.conf; the programs start in the order of their priorities."""
    config = configparser.RawConfigParser()
    config["supervisord"] = {
        "nodaemon": "true",
        "silent": "true",
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "logfile": str(data / "log" / "supervisord.log"),
        "pidfile": str(data / "supervisord.pid"),
        "childlogdir": str(data / "log"),
    }
    lock, conf = data / "redis.lock", data / "redis.conf"
    flock = ["flock", "--no-fork", "--timeout", "60", str(lock)]
    with_room = [sys.executable, "-m", "admin.room", str(data / "redis")]
    redis = [*flock, *with_room, "redis-server", str(conf)]
    ours = [sys.executable, "-m", "admin"]
    config["program:redis"] = _program(redis, data, "redis", priority=10)
    config["program:receiver"] = {
        **_program([*ours, "receiver"], data, "receiver-%(process_num)d", priority=20),
        "process_name": "receiver-%(process_num)d",
        "numprocs": str(settings.receivers),
    }
    config["program:router"] = _program([*ours, "router"], data, "router", priority=22)
    config["program:haproxy"] = _program([*ours, "haproxy"], data, "haproxy", priority=24)
    config["program:housekeeper"] = {
        **_program([*ours, "housekeeper"], data, "housekeeper", priority=30),
        "stopwaitsecs": str(math.ceil(settings.worker_stop_seconds)),
    }
    config["program:attendant"] = _program([*ours, "attendant"], data, "attendant", priority=30)
    config["program:worker"] = {
        **_program([*ours, "worker"], data, "worker-%(process_num)d", priority=30),
        "process_name": "worker-%(process_num)d",
        "numprocs": str(settings.workers),
        "stopwaitsecs": str(math.ceil(settings.worker_stop_seconds)),
    }
    config["program:ready"] = {
        **_program([*ours, "ready"], data, "ready", priority=40),
        "autorestart": "false",
        "startsecs": "0",
        "stdout_logfile": "/dev/fd/1",
        "stdout_logfile_maxbytes": "0",
    }
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


def _program(command: list[str], data: Path, log: str, *, priority: int) -> dict[str, str]:
    return {
        "command": shlex.join(["setpriv", "--pdeathsig", "TERM", *command]),
        "priority": str(priority),
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "1000000",
        "stopsignal": "TERM",
        "stdout_logfile": str(data / "log" / f"{log}.log"),
        "stdout_logfile_maxbytes": str(_LOG_BYTES),
        "redirect_stderr": "true",
    }


def _in_redis(path: Path) -> str:
    """Return ``path`` as one word of redis.conf."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
