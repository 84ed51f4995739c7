"""One git conversation, whichever transport it came over: who, about which app, which service."""

from __future__ import annotations

import errno
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum

from dulwich.errors import GitProtocolError, HangupException
from dulwich.protocol import Protocol

from enclave.access import permitted_app_by_name
from enclave.activity import Actor, trimmed
from enclave.app import App
from enclave.errors import Forbidden, NotFound, StoreUnavailable, TooManyRequests
from enclave.people import Role, User
from enclave.principal import Principal
from enclave.settings import Settings
from enclave.store import Store
from receiver.fetch import Fetch
from receiver.packs import packs
from receiver.push import Push, advertise
from receiver.quarantine import DISK_FULL
from receiver.report import Report
from receiver.repository import AppRepository, ensure_repository
from receiver.slots import Slots
from receiver.wire import Wire

logger = logging.getLogger(__name__)


class GitService(StrEnum):
    """The two programs that git asks a server for."""

    RECEIVE_PACK = "git-receive-pack"
    UPLOAD_PACK = "git-upload-pack"


STORE_AWAY = "The server's store does not answer at the moment: try again in a minute."
"""What a client is told; the store's own words name paths and go to the log."""

_STORE_LOST = (
    "the server lost its store; whether this push holds is not known. "
    "Push again: it tells the truth."
)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_FETCH_GRACE_SECONDS = 20.0  # git may count objects for so long, and send nothing
_NOT_FOLLOWED = "the deploy goes on without you. Push again to see its log, or what became of it."


@dataclass(frozen=True, slots=True)
class Request:
    """What a transport has found out. ``stateless``: smart HTTP, one request of a conversation.

    ``advertise`` is HTTP's first request, which only lists the refs. ``waiting`` is entered while
    the client only waits for a deploy, and may raise ``TooManyRequests``. ``source`` is the
    client's address, ``agent`` what it calls itself. ``id`` is what our log and the client call
    this conversation (gitprotocol-capabilities(5), session-id).
    """

    service: GitService
    app: App
    principal: Principal
    stateless: bool = False
    advertise: bool = False
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    source: str = ""
    agent: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def user(self) -> User:
        """Whose conversation it is."""
        return self.principal.user

    @property
    def actor(self) -> Actor:
        """Who pushes, as the activity keeps it."""
        agent = trimmed(self.agent)
        return Actor(self.user.email, self.principal.proof, self.source, agent)


class Conversations:
    """Holds git conversations, each in a thread of its own."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        most, share, slow = settings.push_slots, settings.push_slots_a_user, settings.slow_bytes
        self._push_slots = Slots(most, share=share, slow=slow)
        self._fetch_slots = Slots(most, share=share, slow=slow, grace=_FETCH_GRACE_SECONDS)

    def admit(
        self, principal: Principal, environment: str, app: str, service: GitService
    ) -> Request:
        """Check that the principal may do this there. Raises ``NotFound``, for strangers too.

        Whoever may push may fetch (SPEC 2.12); to everyone else the app does not exist (2.11).
        Raises ``StoreUnavailable`` when nobody can tell.
        """
        try:
            found = permitted_app_by_name(self._store, principal, environment, app, Role.DEPLOY)
        except (NotFound, Forbidden) as error:
            raise NotFound("Repository not found, or you may not use it.") from error
        return Request(service, found, principal)

    def advertisement(self, request: Request) -> bytes:
        """Return what smart HTTP's first request of a push is answered with: the refs.

        Raises ``StoreUnavailable``.
        """
        said: list[bytes] = []
        protocol = Protocol(lambda _size: b"", said.append)
        advertise(protocol, self._store.pushes.refs(request.app.id), request.id)
        return b"".join(said)

    def start(self, request: Request) -> Wire:
        """Begin a conversation; the transport pumps the wire until the handler closes it."""
        wire = Wire()
        name = f"{request.service} {request.app.name}"
        thread = threading.Thread(target=self._hold, args=(request, wire), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no more threads
            wire.close_handler_end()
            wire.transport_end.close()
            raise
        return wire

    def _hold(self, request: Request, wire: Wire) -> None:
        protocol = wire.protocol()
        report = Report(protocol)
        told = (request.service, request.id, request.app.name)
        try:
            self._speak(request, wire, protocol, report)
        except (HangupException, ConnectionError) as error:
            logger.info("%s %s of %s ended early: %s", *told, error)
            why = "you took too long, or were silent for too long" if wire.timed_out else str(error)
            _say_goodbye(report, f"{why}: try again")
        except GitProtocolError as error:
            logger.info("%s %s of %s: %s", *told, error)
            _say_goodbye(report, "protocol error: this is not what git says here")
        except StoreUnavailable as error:
            logger.warning("%s %s of %s: %s", *told, error)
            _say_goodbye(report, _STORE_LOST if report.in_doubt else STORE_AWAY)
        except TooManyRequests as error:
            _say_goodbye(report, f"{error}: {_NOT_FOLLOWED}" if report.in_doubt else str(error))
        except Exception as error:  # the outermost frame of this thread
            logger.exception("%s %s of %s failed", *told)
            full = isinstance(error, OSError) and error.errno in _NO_ROOM
            internal = f"internal error {request.id}: tell the server's operator"
            _say_goodbye(report, DISK_FULL if full else internal)
        finally:
            wire.finish()
        if request.service is GitService.RECEIVE_PACK:
            self._look_after(request)

    def _speak(self, request: Request, wire: Wire, protocol: Protocol, report: Report) -> None:
        path = self._settings.repository(request.app.id)
        ensure_repository(path)
        if request.service is GitService.UPLOAD_PACK:
            refs = self._store.pushes.refs(request.app.id)
            head = request.app.deploy_ref
            fetch = Fetch(path, refs, head, request.stateless, request.advertise)
            with self._fetch_slots.taken(request.user.id, wire):
                fetch.handle(wire, idle=self._settings.push_idle_seconds)
            return
        # What is only for the advertisement is not read for a request that has none.
        refs = {} if request.stateless else self._store.pushes.refs(request.app.id)
        repository = AppRepository(path, refs)
        try:
            push = Push(
                repository,
                protocol,
                request,
                report=report,
                wire=wire,
                path=path,
                store=self._store,
                settings=self._settings,
                slots=self._push_slots,
            )
            push.handle()
        finally:
            repository.object_store.close()

    def _look_after(self, request: Request) -> None:
        """Ask for a repacking when pushes have left many packs; nobody waits for this."""
        try:
            repository = self._settings.repository(request.app.id)
            if len(packs(repository / "objects")) >= self._settings.repack_packs:
                self._store.repacks.ask(request.app.id)
        except StoreUnavailable as error:  # the next push asks again
            logger.warning("a repacking of %s was not asked for: %s", request.app.name, error)


def _say_goodbye(report: Report, sentence: str) -> None:
    """Tell the client why the conversation ends, if it still listens."""
    try:
        report.fail(sentence)
    except (GitProtocolError, OSError):
        logger.info("the client was gone before it could be told")
