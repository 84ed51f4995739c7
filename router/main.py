"""``enclave router`` and ``enclave haproxy``: two processes, each of which may die alone."""

from __future__ import annotations

import logging
import os
import pwd
import time
from contextlib import suppress

from enclave.errors import (
    InvalidRoute,
    Misconfigured,
    RouterRefused,
    RouterUnavailable,
    StoreUnavailable,
)
from enclave.route import require_host
from enclave.settings import Settings
from enclave.store import Store, open_store
from enclave.store.routes import Announcements
from router.files import MAIN
from router.lost_socket import PID_FILE
from router.router import Router

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks at a HAProxy that is as it should be
_DRAIN_SECONDS = 0.05  # while something drains
_MEND_SECONDS = 0.2  # while HAProxy is away, or the store
_REFUSED_SECONDS = 5.0  # its configuration is wrong: asking often does not mend it
_PAUSE = 0.05
_USER = "haproxy"


def run_router(settings: Settings) -> None:
    """Keep HAProxy as the routes in the store want it, until killed. Raises ``Misconfigured``."""
    try:
        require_host(settings.domain)
    except InvalidRoute as error:
        raise Misconfigured(f"ENCLAVE_DOMAIN: {error}") from error
    settings.haproxy.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings)
    Watch(store, Router(store, settings, user=haproxy_user())).run()


def run_haproxy(settings: Settings) -> None:
    """Become HAProxy, once the router has written its configuration; returns never."""
    main = settings.haproxy / MAIN
    if not main.exists():
        logger.info("waiting for the router to write %s", main)
    while not main.exists():
        time.sleep(_PAUSE)
    master = f"{settings.haproxy_socket},mode,600,level,admin"
    pid_file = settings.haproxy / PID_FILE
    words = ["-W", "-S", master, "-p", str(pid_file), "-f", str(main)]
    os.execvp("haproxy", ["haproxy", *words])  # noqa: S606


def haproxy_user() -> str:
    """Return whom HAProxy's workers become when root starts them: nobody else may read its keys."""
    if os.getuid() != 0:
        return ""
    with suppress(KeyError):
        return pwd.getpwnam(_USER).pw_name
    return ""


class Watch:
    """The router's loop: on news of routes at once, and once a second a look at HAProxy."""

    def __init__(self, store: Store, router: Router) -> None:
        self._store, self._router = store, router
        self._trouble = ""

    def run(self) -> None:
        """Go on whatever is away: HAProxy, or the store."""
        while True:
            try:
                with self._store.routes.announcements() as announcements:
                    self._listen(announcements)
            except StoreUnavailable as error:
                self._say(str(error))
                self._tend()
                time.sleep(_MEND_SECONDS)

    def _listen(self, announcements: Announcements) -> None:
        """Begin with a look: what was announced before is known by then, or is wanted now."""
        while True:
            self._router.read()
            news = False
            while not news:
                pause = self._tend()
                self._router.report()
                news = announcements.wait(pause)

    def _tend(self) -> float:
        """Look after HAProxy; return when to look again, and say once what is wrong."""
        try:
            self._router.tend()
        except RouterRefused as error:
            self._say(str(error))
            return _REFUSED_SECONDS
        except (RouterUnavailable, StoreUnavailable) as error:
            self._say(str(error))
            return _MEND_SECONDS
        if self._trouble:
            logger.info("HAProxy is as wanted again")
        self._trouble = ""
        return _DRAIN_SECONDS if self._router.drains else _LOOK_SECONDS

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning("%s", trouble)
        self._trouble = trouble
