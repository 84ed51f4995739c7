"""The reference: C git behind OpenSSH, and ``git http-backend`` behind nginx and fcgiwrap.

Its choices are the quickest we know that check what we check. nginx streams a request's body
(``fastcgi_request_buffering off``; buffered, a 200 MB push waits for its own copy on disk) and
compares passwords in clear, as ``crypt`` may cost more than a small push. sshd's login shell finds
an empty home, so it reads nobody's ``.bashrc``. Nothing is dropped or queued that a crowd of honest
clients would send: sshd's ``MaxStartups`` is raised, and fcgiwrap, which answers one request at a
time by default, gets processes enough.
"""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.pushing.servers import BRANCH, Target, Transport, git
from testbed.processes import Child, free_port, program

_READY_SECONDS = 15
_SSHD_RUN = Path("/run/sshd")  # sshd insists on it
_BACKEND = Path("/usr/lib/git-core/git-http-backend")
FCGIWRAP_PROCESSES = 32
_CHECKED = ("receive.unpackLimit=1", "receive.fsckObjects=true")

_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
MaxStartups 512
{more}SetEnv HOME={directory}/home GIT_CONFIG_NOSYSTEM=1
"""

_NGINX = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    fastcgi_temp_path {directory}/fastcgi;
    proxy_temp_path {directory}/proxy;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            auth_basic "git";
            auth_basic_user_file {directory}/passwords;
            fastcgi_pass unix:{directory}/fcgi.sock;
            fastcgi_request_buffering off;
            fastcgi_buffering off;
            fastcgi_read_timeout 300;
            fastcgi_param SCRIPT_FILENAME {backend};
            fastcgi_param GIT_PROJECT_ROOT {directory}/repositories;
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param GIT_CONFIG_NOSYSTEM 1;
            fastcgi_param HOME {directory}/home;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_USER $remote_user;
            fastcgi_param REMOTE_ADDR $remote_addr;
        }}
    }}
}}
"""


class ReferenceServer:
    """C git over both transports; each target is a bare repository.

    ``key_exchange`` overrides sshd's KexAlgorithms.
    """

    name = "C git"

    def __init__(self, directory: Path, *, public_key: str, key_exchange: str = "") -> None:
        self._directory = directory
        self._key_exchange = key_exchange
        for folder in (directory, directory / "repositories", directory / "home"):
            folder.mkdir()
        self._ssh_port, self._http_port = free_port(), free_port()
        self._password = os.urandom(16).hex()
        self._made_sshd_run = not _SSHD_RUN.exists()
        _SSHD_RUN.mkdir(mode=0o755, exist_ok=True)
        self._children: list[Child] = []
        try:
            self._children.append(self._start_sshd(public_key))
            self._children.append(self._start_fcgiwrap())
            self._children.append(self._start_nginx())
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> Sequence[int]:
        """The listening sshd, fcgiwrap, nginx."""
        return [child.pid for child in self._children]

    def new_target(self, name: str) -> Target:
        """Make a bare repository that checks what is pushed, as ours does."""
        path = self._directory / "repositories" / f"{name}.git"
        git("init", "-q", "--bare", str(path))
        for setting in _CHECKED:
            git(f"--git-dir={path}", "config", *setting.split("="))
        user = getpass.getuser()
        urls = {
            Transport.SSH: f"ssh://{user}@127.0.0.1:{self._ssh_port}{path}",
            Transport.HTTP: f"http://bench:{self._password}@127.0.0.1:{self._http_port}/{path.name}",
        }
        return Target(name, urls, path)

    def make_repository(self, target: Target) -> None:
        """Nothing to do: a target is its repository."""

    def tip(self, target: Target, branch: str = BRANCH) -> str:
        """Ask git."""
        here = f"--git-dir={target.repository}"
        return git(here, "for-each-ref", "--format=%(objectname)", branch)

    def restart(self) -> None:
        """Nothing to do: every push has fresh processes of its own."""

    def close(self) -> None:
        """End all three, and remove what sshd needed."""
        for child in reversed(self._children):
            child.stop()
            with suppress(ProcessLookupError):  # fcgiwrap leaves the processes that it has forked
                os.killpg(child.pid, signal.SIGKILL)
        if self._made_sshd_run:
            _SSHD_RUN.rmdir()

    def _start_sshd(self, public_key: str) -> Child:
        host_key = self._directory / "host_key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)],
            check=True,
            timeout=_READY_SECONDS,
        )
        (self._directory / "authorized_keys").write_text(public_key)
        configuration = self._directory / "sshd_config"
        more = f"KexAlgorithms {self._key_exchange}\n" if self._key_exchange else ""
        configuration.write_text(
            _SSHD.format(port=self._ssh_port, directory=self._directory, more=more)
        )
        sshd = program("sshd", package="openssh-server")
        return self._start([sshd, "-D", "-e", "-f", str(configuration)], port=self._ssh_port)

    def _start_fcgiwrap(self) -> Child:
        address = self._directory / "fcgi.sock"
        fcgiwrap = Child(
            [
                program("fcgiwrap", package="fcgiwrap"),
                *("-c", str(FCGIWRAP_PROCESSES), "-s", f"unix:{address}"),
            ],
            log=self._directory / "fcgiwrap.log",
        )
        fcgiwrap.wait_ready(address.exists, seconds=_READY_SECONDS)
        return fcgiwrap

    def _start_nginx(self) -> Child:
        (self._directory / "passwords").write_text(f"bench:{{PLAIN}}{self._password}\n")
        configuration = self._directory / "nginx.conf"
        configuration.write_text(
            _NGINX.format(port=self._http_port, directory=self._directory, backend=_BACKEND)
        )
        nginx = program("nginx", package="nginx")
        prefix = str(self._directory)
        return self._start(
            [nginx, "-e", "stderr", "-p", prefix, "-c", str(configuration)], port=self._http_port
        )

    def _start(self, argv: list[str], *, port: int) -> Child:
        def listens() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        child = Child(argv, log=self._directory / f"{Path(argv[0]).name}.log")
        child.wait_ready(listens, seconds=_READY_SECONDS)
        return child
