"""Git over smart HTTP (gitprotocol-http(5)), as a plain ASGI application beside the API.

``GET ENV/APP.git/info/refs?service=…`` lists the refs, ``POST ENV/APP.git/git-…-pack`` holds one
request of a conversation. The password is a token; a Bearer token does as well.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import nullcontext
from dataclasses import replace

from enclave.errors import (
    EnclaveError,
    Forbidden,
    MethodNotAllowed,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
)
from enclave.principal import Principal
from enclave.settings import Settings
from enclave.store import Store
from enclave.tokens import verify_token
from receiver.conversation import STORE_AWAY, Conversations, GitService, Request
from receiver.http_reply import Reply, answer, banner, headers_for, start
from receiver.http_request import GZIP, METHODS, Asked, Body, Message, Receive, Send
from receiver.paths import read_path
from receiver.places import Places
from receiver.pump import pump

logger = logging.getLogger(__name__)

_NO_DUMB = "Only smart HTTP is spoken here: git 1.6.6 or newer, without GIT_SMART_HTTP=0."


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
        asked = Asked(scope)
        if asked.method == "OPTIONS":
            await answer(send, 200, "", [asked.allowed])
            return
        try:
            await self._answer_git(asked, receive, send)
        except Exception:  # the outermost frame of a request
            reference = uuid.uuid4().hex[:12]
            logger.exception("request %s failed", reference)
            words = f"internal error {reference}: tell the server's operator\n"
            await answer(send, 500, words, [])

    async def _answer_git(self, asked: Asked, receive: Receive, send: Send) -> None:
        try:
            request = await self._admit(asked)
        except StoreUnavailable as error:
            logger.warning("a conversation could not begin", exc_info=True)
            await answer(send, error.status, f"{STORE_AWAY}\n", [])
            return
        except EnclaveError as error:
            await answer(send, error.status, f"{error}\n", headers_for(error, asked))
            return
        if asked.method == "HEAD":
            await send(start(request))
            await send({"type": "http.response.body", "body": b""})
            return
        if request.advertise and request.service is GitService.RECEIVE_PACK:
            await self._advertise(request, send)
            return
        body = Body(receive, gzipped=asked.header(b"content-encoding") in GZIP)
        await self._converse(request, body, send)

    async def _admit(self, asked: Asked) -> Request:
        """Check everything that can be checked before git speaks; raises what to answer."""
        if asked.method not in METHODS[asked.advertises]:
            raise MethodNotAllowed(f"this address answers to {asked.allowed[1].decode()}")
        wanted = f"application/x-{asked.service}-request"
        if not asked.advertises and asked.header(b"content-type") != wanted:
            raise UnsupportedMediaType(f"the content type must be {wanted}")
        if asked.header(b"content-encoding") not in ("", "identity", *GZIP):
            raise UnsupportedMediaType("the content encoding must be gzip, or none")
        request = await asyncio.to_thread(self._enter, asked)
        if not asked.service:
            raise Forbidden(_NO_DUMB)
        waiting = asked.place.waiting if asked.place is not None else nullcontext
        return replace(
            request,
            stateless=True,
            advertise=asked.advertises,
            waiting=waiting,
            source=asked.source,
            agent=asked.header(b"user-agent"),
        )

    def _enter(self, asked: Asked) -> Request:
        """Ask the store who it is, and whether they may do this. Not for the event loop."""
        principal = self._authenticate(asked)
        asked.proved()
        known, environment, app = read_path(asked.service or GitService.UPLOAD_PACK, asked.path)
        return self._conversations.admit(principal, environment, app, known)

    def _authenticate(self, asked: Asked) -> Principal:
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
            await answer(send, error.status, f"{STORE_AWAY}\n", [])
            return
        await send(start(request))
        await send({"type": "http.response.body", "body": banner(request) + refs})

    async def _converse(self, request: Request, body: Body, send: Send) -> None:
        wire = self._conversations.start(request)
        reply = Reply(request, send)
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
