"""``enclave receiver``: git over SSH and HTTP, and the API, in one asyncio process."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import uvicorn

from api.application import create_api
from enclave.asker import ASKER
from enclave.errors import StoreUnavailable
from enclave.settings import Settings
from enclave.store import Store, open_store
from receiver.asker import AskerOfAddress
from receiver.attendants import Attendants
from receiver.conversation import Conversations
from receiver.http import GitOverHTTP
from receiver.http_connections import guarded_http
from receiver.http_request import GIT_PATH
from receiver.listening import listen
from receiver.places import Places
from receiver.portal import Portal
from receiver.reconciler import reconcile_forever
from receiver.reminders import remind_forever
from receiver.ssh import GitOverSSH
from receiver.ssh_host_keys import host_keys, rsa_line

Message = MutableMapping[str, Any]
ASGI = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 5
_FILES_A_CONNECTION = 8  # its own, the wire's two, pipes to a child or two, a view, Redis


def run_receiver(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Operations go on without the receiver."""
    settings.repositories.mkdir(parents=True, exist_ok=True)
    _allow_many_files(settings)
    asyncio.run(_serve(settings, open_store(settings)))


async def _serve(settings: Settings, store: Store) -> None:
    await asyncio.to_thread(_take_over, store)
    places = Places(
        settings.connections,
        a_source=settings.connections_a_source,
        waiting=settings.push_waiting,
        failures=settings.login_failures,
        logins=settings.logins,
    )
    conversations = Conversations(store, settings)
    attendants = Attendants(store, settings)
    await attendants.start()
    keys = host_keys(settings.data)
    ssh = await GitOverSSH(store, settings, conversations, places).start(keys)
    portal = await Portal(store, settings, attendants, places).start(keys)
    watchers = [
        asyncio.create_task(reconcile_forever(store, settings)),
        asyncio.create_task(remind_forever(store)),
    ]
    git = GitOverHTTP(store, settings, conversations, places)
    api = create_api(store, settings, attendants, portal_host_key=rsa_line(keys))
    server = uvicorn.Server(
        uvicorn.Config(
            _either(git, api, places),
            http=guarded_http(places, settings),
            ws="none",  # else uvicorn speaks it as soon as a library for it is there
            log_level="warning",
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
        )
    )
    try:
        await server.serve(sockets=[listen(settings.http_host, settings.http_port)])
    finally:
        for watcher in watchers:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        ssh.close()
        portal.close()
        attendants.close()


def _take_over(store: Store) -> None:
    """Bring what an older version has written into today's form."""
    try:
        store.members.take_over()
    except StoreUnavailable as error:
        logger.warning(
            "memberships of an older version are taken over at the next start: %s", error
        )


def _allow_many_files(settings: Settings) -> None:
    """Raise the limit of open files to what all places may need; say so when it cannot be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = (settings.connections + settings.push_waiting) * _FILES_A_CONNECTION
    if hard < needed:
        logger.warning("%d open files are allowed, %d may be needed: raise the limit", hard, needed)


def _either(git: ASGI, api: ASGI, places: Places) -> ASGI:
    """Return the application that gives git's own paths to git, all others to the API.

    The API learns who asks: behind a proxy of ours, uvicorn has put the client's own address here.
    """

    async def application(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "http":
            scope[ASKER] = AskerOfAddress(places, (scope.get("client") or ("",))[0])
        is_git = scope["type"] == "http" and GIT_PATH.fullmatch(scope["path"])
        await (git if is_git else api)(scope, receive, send)

    return application
