"""The server, asked with the user's token; again only where that is safe.

The one module that imports httpx, which takes longer than all else: commands import it last.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from toolbelt.errors import Refused, Unavailable, Unreachable
from toolbelt.hal import Body

_TIMEOUT = httpx.Timeout(30, connect=10)  # a followed log has a line, or a keep-alive, every 5 s
_TRIES = 4
_PAUSE_SECONDS = 0.3
_SHOWN_CHARACTERS = 200


class Server:
    """Asks one server. The token goes there and nowhere else, whatever the links in answers say."""

    def __init__(self, root: str, token: str | None = None) -> None:
        self.root = root
        headers = {"Accept": "application/json", "User-Agent": "aptible-enclave"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._client = httpx.Client(headers=headers, timeout=_TIMEOUT)
            parts = urlsplit(root)
            self._origin = f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError("it begins with neither http:// nor https://")
        except (ValueError, UnicodeError) as error:
            raise Unreachable(f"{root} is not the address of a server: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, address: str, **query: str | int | None) -> Body:
        """Return the resource at a path or a link; asked again when the answer is lost or a 5xx."""
        return _json(self._patiently("GET", address, query=query))

    def get_text(self, address: str) -> str:
        """Like ``get``, for text."""
        return self._patiently("GET", address).text

    def put(self, address: str, body: Body) -> Body:
        """Change a resource; asked again like ``get``."""
        return _json(self._patiently("PUT", address, body=body))

    def post(self, address: str, body: Body) -> Body:
        """Create something; asked once, so that nothing is created twice."""
        return _json(self._once("POST", address, body=body))

    def post_once(self, address: str, body: Body) -> Body:
        """Create an operation; asked again like ``get``, under a key that lets it be made once."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        return _json(self._patiently("POST", address, body=body, headers=key))

    def delete(self, address: str) -> Body:
        """Remove something, once: a second try could not tell that the first one did it."""
        return _json(self._once("DELETE", address))

    def post_form(self, address: str, form: Mapping[str, str]) -> Body:
        """Like ``post``, form-encoded."""
        with self._telling():
            answer = self._client.post(self._url(address), data=form)
        return _json(_accepted(answer))

    def pages(self, address: str, key: str) -> Iterator[Body]:
        """Yield every item of a collection, page after page."""
        following: str | None = address
        while following:
            page = self.get(following)
            yield from page["_embedded"][key]
            following = page["_links"].get("next", {}).get("href")

    @contextmanager
    def lines(self, address: str, **query: str) -> Iterator[Iterator[str]]:
        """Open a stream of lines; they come as the server writes them."""
        with (
            self._telling(),
            self._client.stream("GET", self._url(address), params=query) as answer,
        ):
            if answer.is_error:
                answer.read()
            _accepted(answer)
            yield answer.iter_lines()

    def _patiently(
        self,
        method: str,
        address: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        for tried in range(1, _TRIES):
            try:
                return self._once(method, address, query=query, body=body, headers=headers)
            except (Unreachable, Unavailable):
                time.sleep(_PAUSE_SECONDS * tried)
        return self._once(method, address, query=query, body=body, headers=headers)

    def _once(
        self,
        method: str,
        address: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        with self._telling():
            answer = self._client.request(
                method, self._url(address), params=given or None, json=body, headers=headers
            )
        return _accepted(answer)

    def _url(self, address: str) -> str:
        """Return a path below the root, or a link's path, as an address of this very server."""
        if "://" not in address:
            return self.root + address
        parts = urlsplit(address)
        return f"{self._origin}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise Unreachable(f"Could not reach {self.root}: {error}") from error
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.root} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"The connection to {self.root} broke: {error}") from error


def _accepted(answer: httpx.Response) -> httpx.Response:
    """Return a success; raises what the server said otherwise."""
    if answer.is_success:
        return answer
    try:
        body = answer.json()
        message, error = str(body["message"]), str(body["error"])
    except (ValueError, KeyError, TypeError):
        message, error = f"{answer.url.host} answered {answer.status_code}", ""
    kind = Unavailable if answer.status_code >= 500 else Refused
    raise kind(message, answer.status_code, error)


def _json(answer: httpx.Response) -> Body:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        begin = answer.text[:_SHOWN_CHARACTERS].split("\n", 1)[0]
        raise Unreachable(f"{answer.url.host} is no Enclave server, it answered: {begin}")
    return body
