"""Short-lived registry credentials from Docker's credential helpers, run for a pull.

The protocol is that of ``docker-credential-NAME get``
(https://github.com/docker/docker-credential-helpers, README, Development): the registry on standard
input, ``{"ServerURL", "Username", "Secret"}`` as JSON on standard output.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from enclave.credentials import RegistryCredentials
from enclave.errors import CredentialHelperFailed
from enclave.image import DEFAULT_DOMAIN

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DOCKER_HUB = "https://index.docker.io/v1/"  # what Docker asks helpers for in its place
_SECONDS = 30.0
_OUTPUT_BYTES = 64 << 10
_ENVIRONMENT = frozenset(
    [
        *("HOME", "PATH", "USER", "LANG", "LC_ALL", "TMPDIR"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    ]
)
_CLOUDS = ("AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_")
_ABSENT = "credentials not found"  # as helpers say when they have none (their client library)


def allowed_helpers(setting: str) -> frozenset[str]:
    """Return the helpers that ``ENCLAVE_CREDENTIAL_HELPERS`` names."""
    return frozenset(name.strip() for name in setting.split(",") if name.strip())


def credentials_from_helper(
    name: str,
    domain: str,
    *,
    allowed: Collection[str],
    environment: Mapping[str, str] | None = None,
    seconds: float = _SECONDS,
) -> RegistryCredentials:
    """Ask ``docker-credential-NAME`` for the credentials of the registry ``domain``.

    It runs as this process's user, with PATH, HOME and the variables of clouds and proxies out of
    ``environment`` (this process's own if None) and no setting of ours; it and its children are
    killed after ``seconds``. It answers by its own judgement: only helpers that the operator
    ``allowed`` are run. What it prints on standard error is thrown away: it may hold a secret.
    Raises ``CredentialHelperFailed``.
    """
    _check_allowed(name, allowed)
    program = f"docker-credential-{name}"
    asked = _DOCKER_HUB if domain == DEFAULT_DOMAIN else domain
    given = os.environ if environment is None else environment
    try:
        status, output = _run([program, "get"], asked, _small(given), seconds)
    except (FileNotFoundError, PermissionError):
        raise CredentialHelperFailed(
            f"There is no {program} that can be run on the worker's PATH: tell the server's "
            "operator to install it."
        ) from None
    except TimeoutError:
        raise CredentialHelperFailed(
            f"{program} gave no credentials for {domain} within {seconds:g} s. Try again, or tell "
            "the server's operator."
        ) from None
    if status != 0:
        raise CredentialHelperFailed(_refusal(program, domain, status, output))
    return _credentials(program, domain, output)


def _check_allowed(name: str, allowed: Collection[str]) -> None:
    if not _NAME.fullmatch(name):
        raise CredentialHelperFailed(
            f"{name[:80]!r} cannot be the name of a credential helper. Give it without "
            "docker-credential- in front, as in ecr-login."
        )
    if name not in allowed:
        raise CredentialHelperFailed(
            f"The credential helper {name} may not be used here: the server's operator allows "
            f"{', '.join(sorted(allowed)) or 'none'} (ENCLAVE_CREDENTIAL_HELPERS)."
        )


def _small(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _ENVIRONMENT or name.startswith(_CLOUDS)
    }


def _refusal(program: str, domain: str, status: int, output: bytes) -> str:
    if _ABSENT in output.decode(errors="replace"):
        return (
            f"{program} has no credentials for {domain}. Check the registry's name, or tell the "
            "server's operator."
        )
    return (
        f"{program} failed with exit status {status} for {domain}. What it says is not shown, as "
        f"it may hold a secret; the server's operator sees it with: echo {domain} | {program} get"
    )


def _credentials(program: str, domain: str, output: bytes) -> RegistryCredentials:
    try:
        answer = json.loads(output)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, TypeError, KeyError):
        username = secret = None
    if not isinstance(username, str) or not isinstance(secret, str) or not secret:
        raise CredentialHelperFailed(
            f"{program} did not answer for {domain} as credential helpers do (JSON with Username "
            "and Secret): tell the server's operator."
        )
    return RegistryCredentials(domain, username, secret)


def _run(
    command: list[str], text: str, environment: Mapping[str, str], seconds: float
) -> tuple[int, bytes]:
    """Return exit status and output, cut off at a limit. Raises ``TimeoutError``, ``OSError``."""
    ends = time.monotonic() + seconds
    with _process(command, environment) as process:
        assert process.stdin is not None  # noqa: S101 -- it is a pipe
        with suppress(BrokenPipeError):  # one that asks nobody need not read
            process.stdin.write(text.encode())  # a registry's name fits into any pipe
            process.stdin.close()
        output = _read(process, ends)
        if len(output) == _OUTPUT_BYTES:  # it may never end, and is no answer anyway
            return 0, output
        try:
            return process.wait(max(ends - time.monotonic(), 0)), output
        except subprocess.TimeoutExpired:
            raise TimeoutError from None


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own; nothing of it outlives the block."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        cwd="/",
        bufsize=0,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _read(process: subprocess.Popen[bytes], ends: float) -> bytes:
    assert process.stdout is not None  # noqa: S101 -- it is a pipe
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) < _OUTPUT_BYTES:
            if not selector.select(max(ends - time.monotonic(), 0)):
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), _OUTPUT_BYTES - len(output))
            if not chunk:
                break
            output += chunk
    return output
