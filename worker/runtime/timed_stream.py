"""A streamed answer of the Engine that ends by a deadline, whatever the Engine sends or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import requests
from docker import APIClient

from worker.runtime.engine_connection import timed_out

_SHORTEST = 0.1  # seconds; a timeout of 0 is an error to urllib3


@contextmanager
def posted(
    api: APIClient,
    path: str,
    *,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    ends: float,
) -> Iterator[requests.Response]:
    """POST to ``path`` and lend the answer while it streams, its status not yet judged.

    ``ends`` is on the monotonic clock. Raises ``TimeoutError`` when it has passed before the
    answer's end, and the errors of requests.
    """
    with _streamed(api, "POST", path, params=params, headers=headers, ends=ends) as response:
        yield response


@contextmanager
def got(
    api: APIClient, path: str, *, params: Mapping[str, str], ends: float
) -> Iterator[requests.Response]:
    """GET ``path``; as ``posted``."""
    with _streamed(api, "GET", path, params=params, headers={}, ends=ends) as response:
        yield response


@contextmanager
def _streamed(
    api: APIClient,
    method: str,
    path: str,
    *,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    ends: float,
) -> Iterator[requests.Response]:
    try:
        with (
            api.request(
                method,
                f"{api.base_url}/v{api.api_version}{path}",
                params=params,
                headers=headers,
                stream=True,
                timeout=max(ends - time.monotonic(), _SHORTEST),
            ) as response,
            _cut_off(response, ends),
        ):
            yield response
    except requests.RequestException as error:
        if not timed_out(error):
            raise
        raise TimeoutError from None


@contextmanager
def _cut_off(response: requests.Response, ends: float) -> Iterator[None]:
    """Shut the connection at ``ends``: a socket's timeout would begin anew with every event."""
    passed = threading.Event()

    def shut() -> None:
        passed.set()
        with suppress(OSError, RuntimeError, ValueError):  # the answer has just ended by itself
            response.raw.shutdown()

    watchdog = threading.Timer(max(ends - time.monotonic(), 0), shut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except requests.RequestException:
        if not passed.is_set():
            raise
    finally:
        watchdog.cancel()
    if passed.is_set():
        raise TimeoutError
