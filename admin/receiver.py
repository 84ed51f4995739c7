"""``enclave receiver``: git over SSH and HTTP, and the API, in one asyncio process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import uvicorn

from api.application import create_api
from enclave.settings import Settings
from enclave.store import Store, open_store
from receiver.conversation import Conversations
from receiver.http import GIT_PATH, GitOverHTTP
from receiver.reconciler import reconcile_forever
from receiver.ssh import GitOverSSH

Message = MutableMapping[str, Any]
ASGI = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_GRACE_SECONDS = 5


def run_receiver(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Operations go on without the receiver."""
    settings.repositories.mkdir(parents=True, exist_ok=True)
    asyncio.run(_serve(settings, open_store(settings)))


async def _serve(settings: Settings, store: Store) -> None:
    conversations = Conversations(store, settings)
    ssh = await GitOverSSH(store, settings, conversations).start()
    reconciler = asyncio.create_task(reconcile_forever(store, settings))
    server = uvicorn.Server(
        uvicorn.Config(
            _either(GitOverHTTP(store, settings, conversations), create_api(store, settings)),
            host=settings.http_host,
            port=settings.http_port,
            log_level="warning",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
        )
    )
    try:
        await server.serve()
    finally:
        reconciler.cancel()
        with suppress(asyncio.CancelledError):
            await reconciler
        ssh.close()


def _either(git: ASGI, api: ASGI) -> ASGI:
    """Return the application that gives git's own paths to git, all others to the API."""

    async def application(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        is_git = scope["type"] == "http" and GIT_PATH.fullmatch(scope["path"])
        await (git if is_git else api)(scope, receive, send)

    return application
