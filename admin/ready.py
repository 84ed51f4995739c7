"""``enclave ready``: the voice of ``enclave up``: says when it answers, and when it stops."""

from __future__ import annotations

import signal
import time

import httpx

from enclave.errors import StoreUnavailable
from enclave.settings import Settings

_SECONDS = 60.0
_PAUSE = 0.1


def wait_until_ready(settings: Settings) -> None:
    """Return when the API and its store answer. Raises ``StoreUnavailable`` after a minute."""
    host = settings.http_host if settings.http_host not in ("", "0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
    url = f"http://{host}:{settings.http_port}/healthz"
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5.0, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(_PAUSE)
    raise StoreUnavailable(f"{url} did not answer within {_SECONDS:.0f}s: see {settings.data}/log")


def say_when_stopping(settings: Settings) -> None:
    """Wait for SIGTERM, which supervisord sends to this process before all others, and say so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.sigwait({signal.SIGTERM})
    limit = f"within {settings.worker_stop_seconds:g} s"
    print(f"Stopping: operations that run are finished first, {limit}.", flush=True)


def welcome(settings: Settings) -> str:
    """Return what a person needs to begin."""
    remote = f"ssh://git@{settings.ssh_public_host}:{settings.ssh_port}/ENVIRONMENT/APP.git"
    apps = f"http://app-ID.{settings.domain}:{settings.router_http_port}"
    return f"""
Enclave is up.
  API and git over HTTP   {settings.url}
  git remote over SSH     {remote}
  git remote over HTTP    {settings.url}/ENVIRONMENT/APP.git  (a token is the password)
  requests for apps       {apps}
  Docker Engine           {settings.engine_url}
  data and logs           {settings.data.resolve()}

To begin, in another terminal:
  export ENCLAVE_DATA={settings.data.resolve()}
  enclave user create you@example.com
  enclave key add you@example.com ~/.ssh/id_ed25519.pub
  enclave environment create dev --admin you@example.com
  export APTIBLE_API_ROOT_URL={settings.url} APTIBLE_AUTH_ROOT_URL={settings.url}
  aptible login --email you@example.com
  aptible apps:create hello --environment dev
  aptible deploy --app hello --docker-image IMAGE

Ctrl-C stops it; everything is kept.
"""
