"""The one door to the Docker Engine: its client, and its failures as sentences of ours.

Texts of the SDK's exceptions never pass: they can quote what was sent (an invalid environment
variable comes back with its value), and their requests hold credentials. So the sentence is made
here, and raised ``from None``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from urllib3.exceptions import ReadTimeoutError

from enclave.errors import EngineUnavailable, OperationFailed

_REASON_LIMIT = 300  # characters of the Engine's own words in a sentence
_PING_SECONDS = 5.0  # an Engine that works answers a ping without work
_SHORTEST_SECRET = 4  # hiding every "1" would leave no sentence to read


class EngineConnection:
    """One Engine. Make one per process: its pooled connections must not cross a fork.

    ``timeout`` is in seconds, for each answer that is not itself a wait.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self.url = url
        self.timeout = timeout

    @cached_property
    def _api(self) -> APIClient:
        # "auto" asks the Engine: Debian 12's speaks 1.41 at most, Docker 29 nothing below 1.44.
        api = APIClient(base_url=self.url, version="auto", timeout=self.timeout)  # type: ignore[arg-type]  # requests takes floats
        api.trust_env = False  # no proxy and no ~/.netrc on the way to the Engine
        return api

    @contextmanager
    def asked_to(self, doing: str, *, hidden: Collection[str] = ()) -> Iterator[APIClient]:
        """Lend the client for one thing; ``doing`` follows "The Docker Engine could not".

        Raises ``OperationFailed`` for whatever the SDK raises inside, ``EngineUnavailable`` when no
        answer came. ``hidden`` values are blotted out of the Engine's words.
        """
        try:
            yield self._api
        except APIError as error:
            raise OperationFailed(
                f"The Docker Engine could not {doing}: {reason(error, hidden=hidden)}"
            ) from None
        except (DockerException, requests.RequestException) as error:
            raise EngineUnavailable(self._silence(error)) from None

    def check(self) -> None:
        """Raise ``EngineUnavailable`` if the Engine itself is silent, not whom it asks."""
        with self.asked_to("answer") as api:
            api.get(f"{api.base_url}/_ping", timeout=min(self.timeout, _PING_SECONDS))

    def _silence(self, error: Exception) -> str:
        if timed_out(error):
            return f"The Docker Engine at {self.url} did not answer within {self.timeout:g} s."
        return (
            f"The Docker Engine does not answer at {self.url}. Check that it runs, and that this "
            "user may use it."
        )


def raise_refusal(response: requests.Response) -> None:
    """Raise the SDK's ``APIError`` if the answer is a refusal; for what is asked past the SDK."""
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)


def reason(error: APIError, *, hidden: Collection[str] = ()) -> str:
    """Return why the Engine refused, in its own words: one line, ``hidden`` values blotted out."""
    text = error.explanation or (error.response.reason if error.response is not None else "")
    if "environment variable" in text:  # the Engine quotes it, value and all
        return "an environment variable has a name or a value that cannot be"
    return plain(text, hidden=hidden) or "it did not say why"


def plain(text: str, *, hidden: Collection[str] = ()) -> str:
    """Return somebody else's words fit for a sentence: one line, not long, no secret."""
    for secret in sorted(hidden, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[hidden]")
    line = " ".join(text.split())
    return line if len(line) <= _REASON_LIMIT else line[: _REASON_LIMIT - 1] + "…"


def timed_out(error: Exception) -> bool:
    """Tell a read that passed its time from a connection that failed."""
    if isinstance(error, DockerException) and isinstance(error.__cause__, Exception):
        return timed_out(error.__cause__)  # the SDK wraps what its first question met
    if isinstance(error, requests.Timeout):
        return True
    # A body that stops coming is a ConnectionError around urllib3's ReadTimeoutError.
    return isinstance(error, requests.ConnectionError) and any(
        isinstance(argument, ReadTimeoutError) for argument in error.args
    )
