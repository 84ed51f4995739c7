"""Git over smart HTTP (gitprotocol-http(5)), as a plain ASGI application beside the API.

``GET ENV/APP.git/info/refs?service=…`` lists the refs, ``POST ENV/APP.git/git-…-pack`` holds one
request of a conversation. The password is a token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from dulwich.protocol import pkt_line

from enclave.errors import (
    EnclaveError,
    MethodNotAllowed,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
)
from enclave.people import User
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import verify_token
from receiver.conversation import STORE_AWAY, Conversations, Request
from receiver.paths import read_path
from receiver.pump import CHUNK, pump

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

GIT_PATH = re.compile(r"/(?P<path>[^/]+/[^/]+)/(?P<what>info/refs|git-(?:upload|receive)-pack)")
_CHALLENGE = (b"www-authenticate", b'Basic realm="Enclave: a token as the password"')
_DRAIN_SECONDS = 30.0
_NEVER_CACHE = (b"cache-control", b"no-cache, max-age=0, must-revalidate")


class GitOverHTTP:
    """The ASGI application for the paths that ``GIT_PATH`` matches."""

    def __init__(self, store: Store, settings: Settings, conversations: Conversations) -> None:
        self._store = store
        self._settings = settings
        self._conversations = conversations

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            request = await self._admit(scope)
        except StoreUnavailable as error:
            logger.warning("a conversation could not begin", exc_info=True)
            await _answer(send, error.status, f"{STORE_AWAY}\n", [])
            return
        except EnclaveError as error:
            challenge = [_CHALLENGE] if isinstance(error, Unauthenticated) else []
            await _answer(send, error.status, f"{error}\n", challenge)
            return
        body = _Body(receive, gzipped=_header(scope, b"content-encoding") == "gzip")
        await self._converse(request, body, send)

    async def _admit(self, scope: Message) -> Request:
        match = GIT_PATH.fullmatch(scope["path"])
        if match is None:
            raise NotFound("Repository not found, or you may not use it.")
        advertise = match["what"] == "info/refs"
        query = parse_qs(scope["query_string"].decode("latin-1"))
        service = query.get("service", [""])[0] if advertise else match["what"]
        if scope["method"] != ("GET" if advertise else "POST"):
            raise MethodNotAllowed("git asks with GET info/refs and POST git-…-pack")
        wanted = f"application/x-{service}-request"
        if not advertise and _header(scope, b"content-type") != wanted:
            raise UnsupportedMediaType(f"the content type must be {wanted}")
        user = await asyncio.to_thread(self._authenticate, scope)
        known, environment, app = read_path(service, match["path"])
        request = await asyncio.to_thread(self._conversations.admit, user, environment, app, known)
        return replace(request, stateless=True, advertise=advertise)

    def _authenticate(self, scope: Message) -> User:
        """Return whose token the Basic password is; the user name does not matter."""
        kind, _, encoded = _header(scope, b"authorization").partition(" ")
        if kind.lower() != "basic":
            raise Unauthenticated("Authentication required: use a token as the password.")
        try:
            password = base64.b64decode(encoded, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unauthenticated("The Authorization header cannot be read.") from error
        return verify_token(self._store, password)

    async def _converse(self, request: Request, body: _Body, send: Send) -> None:
        wire = self._conversations.start(request)
        kind = "advertisement" if request.advertise else "result"
        headers = [
            (b"content-type", f"application/x-{request.service}-{kind}".encode()),
            _NEVER_CACHE,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if request.advertise:
            banner = pkt_line(f"# service={request.service}\n".encode()) + pkt_line(None)
            await _send_body(send, banner)
        try:
            await pump(
                wire,
                body.read,
                lambda data: _send_body(send, data),
                idle=self._settings.push_idle_seconds,
                gone=body.client_gone,
            )
            await body.drain()
            await send({"type": "http.response.body", "body": b""})
        except (ConnectionError, OSError) as error:
            logger.info("the client of %s went away: %s", request.app.name, error)


class _Body:
    """A request's body as it comes, unzipped in pieces of bounded size."""

    def __init__(self, receive: Receive, *, gzipped: bool) -> None:
        self._receive = receive
        self._unzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if gzipped else None
        self._more = True
        self._ended = asyncio.Event()

    async def read(self) -> bytes:
        """Return the next piece, ``b""`` at the end or when the client is gone."""
        if self._unzip is not None and self._unzip.unconsumed_tail:
            return self._unzipped(self._unzip.unconsumed_tail)
        while self._more:
            data = await self._next()
            if data and self._unzip is not None:
                data = self._unzipped(data)
            if data:
                return data
        return b""

    async def drain(self) -> None:
        """Drop the rest: a client that is still sending has no answer until it is done.

        Ends at a deadline; the server then closes the connection.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._more:
                    await self._next()

    async def client_gone(self) -> None:
        """Return when the client has closed the connection."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        """Receive a piece as it came. Raises ``ConnectionResetError`` when the client is gone."""
        message = await self._receive()
        gone = message["type"] == "http.disconnect"
        self._more = not gone and message.get("more_body", False)
        if not self._more:
            self._ended.set()
        if gone:
            raise ConnectionResetError("the client closed the connection")
        return bytes(message.get("body", b""))

    def _unzipped(self, data: bytes) -> bytes:
        if self._unzip is None:
            return data
        try:
            return self._unzip.decompress(data, CHUNK)
        except zlib.error as error:
            raise ConnectionResetError("the body is not gzip") from error


def _header(scope: Message, name: bytes) -> str:
    value: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return value.decode("latin-1")


async def _send_body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    plain = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [plain, *headers]})
    await send({"type": "http.response.body", "body": text.encode()})
