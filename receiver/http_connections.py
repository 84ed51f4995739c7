"""HTTP connections that hold nobody up: each has a place, and deadlines for what it says.

uvicorn's own protocol waits for a request's head, and for its body, for as long as the client
likes. This one gives each connection a place among all (``receiver/places.py``), closes it when a
head or an API request's body does not come in time, and answers git's own ``git://`` protocol in
words that git shows.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

from dulwich.protocol import pkt_line
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from enclave.access import PROVED
from enclave.errors import TooManyRequests
from enclave.settings import Settings
from receiver.http_request import GIT_PATH, PLACE
from receiver.places import Place, Places, contains, networks

_GIT_DAEMON = re.compile(rb"[0-9a-f]{4}")  # a pkt-line's length; git may send it by itself
_NO_DAEMON = pkt_line(b"ERR git:// is not spoken here: use the ssh:// or http:// address")
_LINGER_SECONDS = 1.0  # a last word would be lost if the connection closed with input unread


def guarded_http(places: Places, settings: Settings) -> type[asyncio.Protocol]:
    """Return the protocol class for uvicorn's ``http`` option."""
    proxies = networks(settings.proxies)

    class GuardedHTTP(HttpToolsProtocol):
        """One connection. The place is in each request's scope."""

        _place: Place | None = None
        _timer: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None
        _head_bytes: int | None = 0
        _begun = False
        _refused = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Take a place, or say that there is none."""
            super().connection_made(transport)
            address = self.client[0] if self.client else ""
            shared = contains(proxies, address)
            try:
                self._place = places.take(address, self._make_room, shared=shared)
            except TooManyRequests as error:
                self._refuse(503, str(error))
                return
            self._expect_by(settings.login_seconds)

        def data_received(self, data: bytes) -> None:
            """Take what the client says, unless nobody listens any more."""
            if self._refused:
                return
            if self._head_bytes is not None:
                self._head_bytes += len(data)
            if not self._begun and _GIT_DAEMON.match(data):
                self._refused = True
                self.transport.write(_NO_DAEMON)
                self.transport.close()
                return
            super().data_received(data)
            if (self._head_bytes or 0) > settings.request_head_bytes:
                words = f"a request's head has at most {settings.request_head_bytes} bytes"
                self._refuse(431, words)

        def on_message_begin(self) -> None:
            """Give the request its connection's place."""
            super().on_message_begin()
            self._begun = True
            self._head_bytes = self._head_bytes or 0
            scope = cast(dict[str, Any], self.scope)
            scope[PLACE] = self._place
            if self._place is not None:
                scope[PROVED] = self._place.prove

        def on_headers_complete(self) -> None:
            """The head is here; git's bodies have deadlines of their own, all others this one."""
            super().on_headers_complete()
            self._head_bytes = None
            self._expect_nothing()
            if not self.pipeline and not GIT_PATH.fullmatch(self.scope["path"]):
                self._expect_by(settings.login_seconds)

        def on_message_complete(self) -> None:
            """The whole request is here; it may have been answered long ago."""
            self._expect_nothing()
            super().on_message_complete()
            self._expect_another()

        def on_response_complete(self) -> None:
            """The next request has to prove itself anew, and to come in time."""
            super().on_response_complete()
            if self._place is not None:
                self._place.prove(proved=False)
            self._expect_another()

        def pause_writing(self) -> None:
            """The client takes nothing; it has a while to go on."""
            super().pause_writing()
            self._stalled = self.loop.call_later(settings.push_idle_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            """The client takes something."""
            super().resume_writing()
            if self._stalled is not None:
                self._stalled.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            """Give the place back."""
            self._expect_nothing()
            if self._stalled is not None:
                self._stalled.cancel()
            if self._place is not None:
                self._place.leave()
            super().connection_lost(exc)

        def _make_room(self) -> None:
            self._refuse(503, "this connection made room for others")

        def _expect_another(self) -> None:
            if self.cycle.response_complete:  # otherwise there is one in progress
                self._expect_by(settings.login_seconds)

        def _expect_by(self, seconds: float) -> None:
            self._expect_nothing()
            words = f"nothing whole came within {seconds:.0f}s"
            self._timer = self.loop.call_later(seconds, self._refuse, 408, words)

        def _expect_nothing(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _refuse(self, status: int, words: str) -> None:
            """Answer and close, unless a request is being answered: then only close."""
            if self._refused or self.transport.is_closing():
                return
            self._refused = True
            self._expect_nothing()
            if self.cycle is not None and not self.cycle.response_complete:
                self.transport.abort()
                return
            text = f"{words}\n".encode()
            head = (
                f"HTTP/1.1 {status} {words}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Length: {len(text)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + text)
            self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    return GuardedHTTP
