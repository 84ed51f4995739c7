"""A push, from the advertisement to the report: git-receive-pack as DESIGN 3 tells it.

dulwich's own handler is not kept beyond its constructor: it has no quarantine, trusts the client's
objects, and reports ``ok`` for refs it did not store.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dulwich.objects import ObjectID
from dulwich.protocol import Protocol, capability_agent, format_ref_line
from dulwich.refs import Ref
from dulwich.server import ReceivePackHandler

from enclave.errors import PushRefused
from enclave.operation import OperationStatus
from enclave.settings import Settings
from enclave.store import Store
from receiver.acceptance import judge_and_commit
from receiver.commands import CommandLimits, PushCommands, read_commands
from receiver.follow import follow_operation
from receiver.index_pack import Talk
from receiver.quarantine import Quarantine
from receiver.report import Report
from receiver.repository import AppRepository, OneRepository
from receiver.slots import Slots
from receiver.wire import Wire

if TYPE_CHECKING:
    from receiver.conversation import Request

logger = logging.getLogger(__name__)

SHALLOW = (
    "ERROR: This clone is shallow: part of its history is missing.",
    "ERROR: Mend it with `git fetch --unshallow`, then push again.",
)


def _capabilities(session_id: str) -> list[bytes]:
    return [
        *(b"report-status", b"report-status-v2", b"side-band-64k", b"delete-refs", b"quiet"),
        *(b"atomic", b"ofs-delta", b"push-options", b"object-format=sha1"),
        b"session-id=" + session_id.encode(),
        capability_agent(),
    ]


def advertise(protocol: Protocol, refs: Mapping[str, str], session_id: str) -> None:
    """List the refs (full name -> id) and what this server can do (gitprotocol-pack(5))."""
    listed = sorted((Ref(name.encode()), ObjectID(sha.encode())) for name, sha in refs.items())
    none = (Ref(b"capabilities^{}"), ObjectID(b"0" * 40))
    first, *rest = listed or [none]
    protocol.write_pkt_line(format_ref_line(*first, _capabilities(session_id)))
    for ref, sha in rest:
        protocol.write_pkt_line(format_ref_line(ref, sha))
    protocol.write_pkt_line(None)


class Push(ReceivePackHandler):
    """One client's push. ``handle`` tells the story; nothing it raises loses an accepted push.

    Whatever it raises, ``Conversations`` tells the client: as a refusal of every ref until refs may
    have moved, without a verdict after that. ``report`` knows which.
    """

    def __init__(
        self,
        repository: AppRepository,
        protocol: Protocol,
        request: Request,
        *,
        report: Report,
        wire: Wire,
        path: Path,
        store: Store,
        settings: Settings,
        slots: Slots,
    ) -> None:
        super().__init__(
            OneRepository(repository),
            ["/"],
            protocol,
            stateless_rpc=request.stateless,
        )
        self._request, self._app, self._user = request, request.app, request.user
        self._report, self._wire, self._path = report, wire, path
        self._store, self._settings, self._slots = store, settings, slots

    def capabilities(self) -> list[bytes]:
        """Return what receive-pack advertises, all of it kept."""
        return _capabilities(self._request.id)

    def handle(self) -> None:
        """Advertise, read, judge, commit, follow, report."""
        if not self.stateless_rpc:
            refs = {name.decode(): sha.decode() for name, sha in self.repo.get_refs().items()}
            advertise(self.proto, refs, self._request.id)
        report, settings = self._report, self._settings
        limits = CommandLimits(
            settings.push_commands,
            settings.push_command_bytes,
            settings.push_options,
            settings.push_option_bytes,
        )
        self._wire.deadline = time.monotonic() + settings.push_idle_seconds
        try:
            push = read_commands(self.proto, limits, agreed=report.agree)
        except PushRefused as refusal:
            report.end_without_verdict(str(refusal))
            return
        self._wire.deadline = math.inf
        if push is None:
            return
        report.expect(command.ref for command in push.commands)
        verdicts = self._receive(push, report)
        logger.info("push %s to %s: %s", self._request.id, self._app.name, _summary(verdicts))
        report.finish(verdicts.pop("", None) or "ok", verdicts)

    def _receive(self, push: PushCommands, report: Report) -> dict[str, str | None]:
        """Take the push in. Returns a verdict a ref, None for ok; ``""``: why unpacking failed."""
        report.say(["INFO: Authorizing..."])
        report.say(
            f"WARN: push option {option} is not known here and was ignored"
            for option in push.options
        )
        refs = [command.ref for command in push.commands]
        with Quarantine(self._path) as quarantine:
            try:
                self._unpack(push, quarantine, report)
            except PushRefused as refusal:
                return {"": str(refusal), **dict.fromkeys(refs, f"unpacker error: {refusal}")}
            if push.shallow:
                report.say(SHALLOW)
                return dict.fromkeys(refs, "shallow clone: git fetch --unshallow first")
            try:
                accepted = judge_and_commit(
                    *(self._store, self._app, self._user, push, quarantine),
                    actor=self._request.actor,
                    committing=report.doubt,
                )
            except PushRefused as refusal:
                return dict.fromkeys(refs, str(refusal))
        report.say(accepted.words(self._app))
        verdicts = accepted.verdicts(push)
        if accepted.operation_id is not None:
            ending = self._follow(accepted.operation_id, report)
            verdicts |= dict.fromkeys(accepted.deploying, ending)
        return {ref: verdicts[ref] for ref in refs}

    def _unpack(self, push: PushCommands, quarantine: Quarantine, report: Report) -> None:
        if push.has_pack:
            quarantine.take_in(
                self._wire,
                self._settings,
                self._slots,
                user_id=self._user.id,
                talk=Talk(report.keep_alive, report.progress, early=not self.stateless_rpc),
                strict=not push.shallow,
            )

    def _follow(self, operation_id: int, report: Report) -> str | None:
        """Show the deploy's log to its end. Returns None when it succeeded, else the reason."""
        report.doubt()  # also of a deploy that another push set off: its end is not ours to tell
        report.say(["INFO: Initiating deploy..."])
        with self._request.waiting():
            operation = follow_operation(
                self._store, operation_id, report, silence=self._settings.keepalive_seconds
            )
        if operation.status is OperationStatus.SUCCEEDED:
            return None
        return "deploy cancelled" if operation.cancelled else f"deploy failed: {operation.message}"


def _summary(verdicts: Mapping[str, str | None]) -> str:
    """Return what became of a push in a line for our log."""
    refused = [f"{ref} {reason}" for ref, reason in verdicts.items() if reason is not None]
    words = f"{len(verdicts) - len(refused)} ok; {'; '.join(refused[:5]) or 'none refused'}"
    return words.encode("utf-8", "backslashreplace").decode()
