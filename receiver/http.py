"""Git over smart HTTP (gitprotocol-http(5)), as a plain ASGI application beside the API.

``GET ENV/APP.git/info/refs?service=…`` lists the refs, ``POST ENV/APP.git/git-…-pack`` holds one
request of a conversation. The password is a token; a Bearer token does as well.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import uuid
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from dulwich.protocol import pkt_line

from enclave.access import PROVED
from enclave.errors import (
    EnclaveError,
    Forbidden,
    MethodNotAllowed,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
)
from enclave.people import User
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import verify_token
from receiver.conversation import STORE_AWAY, Conversations, GitService, Request
from receiver.paths import read_path
from receiver.places import Place, Places
from receiver.pump import CHUNK, pump

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

GIT_PATH = re.compile(r"/(?P<path>[^/]+/[^/]+)/(?P<what>info/refs|git-[a-z-]+|HEAD|objects/.+)")
"""The last two are what a client of the dumb protocol asks for."""

PLACE = "enclave.place"
"""The key of a request's scope under which its connection's ``Place`` is."""

_CHALLENGE = (
    b"www-authenticate",
    b'Basic realm="Enclave: a token as the password", charset="UTF-8"',
)
_ADVERTISES = "info/refs"
_GZIP = ("gzip", "x-gzip")
_METHODS = {True: ("GET", "HEAD", "OPTIONS"), False: ("POST", "OPTIONS")}
_NO_DUMB = "Only smart HTTP is spoken here: git 1.6.6 or newer, without GIT_SMART_HTTP=0."
_DRAIN_SECONDS = 30.0
_NEVER_CACHE = (b"cache-control", b"no-cache, max-age=0, must-revalidate")


class GitOverHTTP:
    """The ASGI application for the paths that ``GIT_PATH`` matches."""

    def __init__(
        self, store: Store, settings: Settings, conversations: Conversations, places: Places
    ) -> None:
        self._store = store
        self._settings = settings
        self._conversations = conversations
        self._places = places

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        asked = _Asked(scope)
        if asked.method == "OPTIONS":
            await _answer(send, 200, "", [asked.allowed])
            return
        try:
            await self._answer_git(asked, receive, send)
        except Exception:  # the outermost frame of a request
            reference = uuid.uuid4().hex[:12]
            logger.exception("request %s failed", reference)
            words = f"internal error {reference}: tell the server's operator\n"
            await _answer(send, 500, words, [])

    async def _answer_git(self, asked: _Asked, receive: Receive, send: Send) -> None:
        try:
            request = await self._admit(asked)
        except StoreUnavailable as error:
            logger.warning("a conversation could not begin", exc_info=True)
            await _answer(send, error.status, f"{STORE_AWAY}\n", [])
            return
        except EnclaveError as error:
            await _answer(send, error.status, f"{error}\n", _headers(error, asked))
            return
        if asked.method == "HEAD":
            await send(_start(request))
            await send({"type": "http.response.body", "body": b""})
            return
        if request.advertise and request.service is GitService.RECEIVE_PACK:
            await self._advertise(request, send)
            return
        body = _Body(receive, gzipped=asked.header(b"content-encoding") in _GZIP)
        await self._converse(request, body, send)

    async def _admit(self, asked: _Asked) -> Request:
        """Check everything that can be checked before git speaks; raises what to answer."""
        if asked.method not in _METHODS[asked.advertises]:
            raise MethodNotAllowed(f"this address answers to {asked.allowed[1].decode()}")
        wanted = f"application/x-{asked.service}-request"
        if not asked.advertises and asked.header(b"content-type") != wanted:
            raise UnsupportedMediaType(f"the content type must be {wanted}")
        if asked.header(b"content-encoding") not in ("", "identity", *_GZIP):
            raise UnsupportedMediaType("the content encoding must be gzip, or none")
        request = await asyncio.to_thread(self._enter, asked)
        if not asked.service:
            raise Forbidden(_NO_DUMB)
        waiting = asked.place.waiting if asked.place is not None else nullcontext
        return replace(request, stateless=True, advertise=asked.advertises, waiting=waiting)

    def _enter(self, asked: _Asked) -> Request:
        """Ask the store who it is, and whether they may do this. Not for the event loop."""
        user = self._authenticate(asked)
        asked.proved()
        known, environment, app = read_path(asked.service or GitService.UPLOAD_PACK, asked.path)
        return self._conversations.admit(user, environment, app, known)

    def _authenticate(self, asked: _Asked) -> User:
        """Return whose token came along. Raises ``Unauthenticated`` or ``TooManyRequests``."""
        token = asked.token()
        self._places.check_failures(asked.source)
        try:
            return verify_token(self._store, token)
        except Unauthenticated:
            self._places.failed(asked.source)
            raise

    async def _advertise(self, request: Request, send: Send) -> None:
        """Answer the first request of a push: there is nothing to converse about yet."""
        try:
            refs = await asyncio.to_thread(self._conversations.advertisement, request)
        except StoreUnavailable as error:
            logger.warning("a conversation could not begin", exc_info=True)
            await _answer(send, error.status, f"{STORE_AWAY}\n", [])
            return
        await send(_start(request))
        await send({"type": "http.response.body", "body": _banner(request) + refs})

    async def _converse(self, request: Request, body: _Body, send: Send) -> None:
        wire = self._conversations.start(request)
        reply = _Reply(request, send)
        try:
            await pump(
                wire,
                body.read,
                reply.write,
                idle=self._settings.push_idle_seconds,
                gone=body.client_gone,
            )
            if not (wire.timed_out or wire.broken_off):
                await body.drain()
            await reply.end()
        except (ConnectionError, OSError) as error:
            logger.info("the client of %s went away: %s", request.app.name, error)


class _Reply:
    """The response. It begins with git's first word, after the request's body was asked for.

    Who sent ``Expect: 100-continue`` would otherwise take it for the whole answer (RFC 9110).
    """

    def __init__(self, request: Request, send: Send) -> None:
        self._request, self._send = request, send
        self._begun = False

    async def write(self, data: bytes) -> None:
        """Send what git says."""
        await self._begin()
        await _send_body(self._send, data)

    async def end(self) -> None:
        """End the response, which may be empty."""
        await self._begin()
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        await self._send(_start(self._request))
        if self._request.advertise:
            await _send_body(self._send, _banner(self._request))


class _Asked:
    """What a request asks for, as far as its head tells."""

    def __init__(self, scope: Message) -> None:
        self._scope = scope
        match = GIT_PATH.fullmatch(scope["path"])
        self.path, what = (match["path"], match["what"]) if match else ("", "")
        self.method: str = scope["method"]
        self.advertises = not what.startswith("git-")
        query = parse_qs(scope["query_string"].decode("latin-1"))
        self.service = what if not self.advertises else query.get("service", [""])[0]
        if what != _ADVERTISES and self.advertises:
            self.service = ""
        self.allowed = (b"allow", ", ".join(_METHODS[self.advertises]).encode())
        self.place: Place | None = scope.get(PLACE)
        self.proved: Callable[[], None] = scope.get(PROVED, _nothing)
        self.source: str = (scope.get("client") or ("",))[0]

    def header(self, name: bytes) -> str:
        """Return a header's value, empty when there is none."""
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        return next((value for key, value in headers if key == name), b"").decode("latin-1")

    def token(self) -> str:
        """Return the Basic password, or the Bearer token. Raises ``Unauthenticated``."""
        kind, _, credentials = self.header(b"authorization").partition(" ")
        match kind.lower():
            case "bearer":
                return credentials.strip()
            case "basic":
                try:
                    return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
                except (binascii.Error, UnicodeDecodeError) as error:
                    words = "The Authorization header cannot be read."
                    raise Unauthenticated(words) from error
            case _:
                raise Unauthenticated("Authentication required: use a token as the password.")


def _nothing() -> None:
    """Nobody wants to know."""


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
        """Drop the rest, within a deadline: who still sends does not listen before it is done."""
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


def _start(request: Request) -> Message:
    kind = "advertisement" if request.advertise else "result"
    headers = [
        (b"content-type", f"application/x-{request.service}-{kind}".encode()),
        _NEVER_CACHE,
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _banner(request: Request) -> bytes:
    return pkt_line(f"# service={request.service}\n".encode()) + pkt_line(None)


def _headers(error: EnclaveError, asked: _Asked) -> list[tuple[bytes, bytes]]:
    """Return the headers that HTTP wants beside a status (RFC 9110)."""
    if isinstance(error, Unauthenticated):
        return [_CHALLENGE]
    if isinstance(error, MethodNotAllowed):
        return [asked.allowed]
    if isinstance(error, TooManyRequests):
        return [(b"retry-after", b"60")]
    return []


async def _send_body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    plain = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [plain, *headers]})
    await send({"type": "http.response.body", "body": text.encode()})
