"""What a git client asks over HTTP: the head of a request, and its body as it comes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from enclave.access import PROVED
from enclave.errors import Unauthenticated
from receiver.places import Place
from receiver.pump import CHUNK

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

GIT_PATH = re.compile(r"/(?P<path>[^/]+/[^/]+)/(?P<what>info/refs|git-[a-z-]+|HEAD|objects/.+)")
"""The last two are what a client of the dumb protocol asks for."""

PLACE = "enclave.place"
"""The key of a request's scope under which its connection's ``Place`` is."""

GZIP = ("gzip", "x-gzip")
METHODS = {True: ("GET", "HEAD", "OPTIONS"), False: ("POST", "OPTIONS")}
"""By whether the address only lists the refs."""

_ADVERTISES = "info/refs"
_DRAIN_SECONDS = 30.0


class Asked:
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
        self.allowed = (b"allow", ", ".join(METHODS[self.advertises]).encode())
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


class Body:
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
