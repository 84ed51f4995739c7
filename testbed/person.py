"""Somebody who uses a platform: a home directory, an SSH key, repositories, the two commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 120

Finished = subprocess.CompletedProcess[str]


class Person:
    """Runs ``git`` and ``aptible`` as this user would, with nothing of the machine's own user."""

    def __init__(
        self,
        email: str,
        *,
        password: str,
        home: Path,
        url: str,
        ssh_port: int,
        environment: Mapping[str, str],
    ) -> None:
        self.email, self.password, self.home = email, password, home
        self.url, self.ssh_port = url, ssh_port
        home.mkdir(parents=True)
        key = home / "id_ed25519"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", email, "-f", str(key)], check=True
        )
        self.public_key = key.with_suffix(".pub").read_text()
        self.environment = {
            "PATH": environment["PATH"],
            "HOME": str(home),
            "TERM": os.environ.get("TERM", "dumb"),
            "LC_ALL": "C.UTF-8",
            "APTIBLE_API_ROOT_URL": url,
            "APTIBLE_AUTH_ROOT_URL": url,
            "GIT_AUTHOR_NAME": email.partition("@")[0],
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": email.partition("@")[0],
            "GIT_COMMITTER_EMAIL": email,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": (
                f"ssh -i {key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new "
                f"-o UserKnownHostsFile={home / 'known_hosts'} -o LogLevel=ERROR -F none"
            ),
        }

    def run(self, *command: str, cwd: Path | None = None, stdin: str = "") -> Finished:
        """Run a command to its end within two minutes; its status is for the caller to judge."""
        return subprocess.run(
            command,
            cwd=cwd or self.home,
            env=self.environment,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )

    def start(self, *command: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start a command and leave it running, with its output in one pipe."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.home,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def aptible(self, *arguments: str, cwd: Path | None = None) -> Finished:
        """Run the ``aptible`` command."""
        aptible = str(Path(sys.executable).parent / "aptible")
        return self.run(aptible, *arguments, cwd=cwd)

    def log_in(self) -> None:
        """``aptible login``. Raises ``CalledProcessError`` when refused."""
        self.aptible("login", "--email", self.email, "--password", self.password).check_returncode()

    def remote(self, app: str) -> str:
        """Return the git remote of ``ENVIRONMENT/APP`` over SSH."""
        return f"ssh://git@localhost:{self.ssh_port}/{app}.git"

    def token(self) -> str:
        """Return the token that ``aptible login`` stored."""
        tokens = json.loads((self.home / ".aptible" / "tokens.json").read_text())
        return str(next(iter(tokens.values())))

    def http_remote(self, app: str) -> str:
        """Return the git remote of ``ENVIRONMENT/APP`` over HTTP, with the token in it."""
        return self.url.replace("://", f"://anyone:{self.token()}@") + f"/{app}.git"

    def repository(self, app: str, *, remote: str | None = None) -> Repository:
        """Create an empty git repository whose remote ``aptible`` is the app."""
        path = self.home / app.replace("/", "-")
        while path.exists():
            path = path.with_name(f"{path.name}-again")
        path.mkdir()
        repository = Repository(self, path)
        repository.git("init", "-q", "-b", "master").check_returncode()
        repository.git("remote", "add", "aptible", remote or self.remote(app)).check_returncode()
        return repository


class Repository:
    """A working tree of a person's."""

    def __init__(self, owner: Person, path: Path) -> None:
        self.owner, self.path = owner, path

    def git(self, *arguments: str) -> Finished:
        """Run git in it."""
        return self.owner.run("git", *arguments, cwd=self.path)

    def commit(self, message: str = "a change", **files: str) -> str:
        """Write files (``Procfile="web: …"``; ``_aptible_yml`` is ``.aptible.yml``), commit them.

        Returns the commit's 40 digits.
        """
        for name, text in files.items():
            (self.path / name.replace("_aptible_yml", ".aptible.yml")).write_text(text)
        self.git("add", "--all").check_returncode()
        self.git("commit", "-q", "--allow-empty", "-m", message).check_returncode()
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *refspecs: str) -> Finished:
        """``git push aptible …``; ``master`` unless refspecs are given."""
        return self.git("push", "aptible", *(refspecs or ("master",)))

    def remote_refs(self) -> dict[str, str]:
        """Return the refs that the server advertises: name -> 40 digits."""
        answer = self.git("ls-remote", "aptible")
        answer.check_returncode()
        pairs = (line.split("\t") for line in answer.stdout.splitlines())
        return {name: commit for commit, name in pairs if name != "HEAD"}
