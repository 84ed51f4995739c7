"""A push, from the advertisement to the report: git-receive-pack as DESIGN 3 tells it.

dulwich's own handler is not kept beyond its constructor: it has no quarantine, trusts the client's
objects, and reports ``ok`` for refs it did not store.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dulwich.protocol import Protocol, capability_agent, format_ref_line
from dulwich.refs import Ref
from dulwich.server import ReceivePackHandler

from enclave.errors import PushRefused
from enclave.operation import OperationStatus
from enclave.settings import Settings
from enclave.store import Store
from receiver.acceptance import judge_and_commit
from receiver.commands import PushCommands, read_commands
from receiver.follow import follow_operation
from receiver.quarantine import Quarantine
from receiver.report import Report
from receiver.repository import AppRepository, OneRepository
from receiver.wire import Wire

if TYPE_CHECKING:
    from receiver.conversation import Request

SHALLOW = (
    "ERROR: This clone is shallow: part of its history is missing.",
    "ERROR: Mend it with `git fetch --unshallow`, then push again.",
)


class Push(ReceivePackHandler):
    """One client's push. ``handle`` tells the story; nothing it raises loses an accepted push.

    What it raises ends without a verdict (``Conversations``): refs may have moved by then.
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
        slots: threading.Semaphore,
    ) -> None:
        super().__init__(
            OneRepository(repository),
            ["/"],
            protocol,
            stateless_rpc=request.stateless,
            advertise_refs=request.advertise,
        )
        self._app, self._user = request.app, request.user
        self._report, self._wire, self._path = report, wire, path
        self._store, self._settings, self._slots = store, settings, slots

    def capabilities(self) -> list[bytes]:
        """Return what receive-pack advertises, all of it kept."""
        return [
            *(b"report-status", b"report-status-v2", b"side-band-64k", b"delete-refs", b"quiet"),
            *(b"atomic", b"ofs-delta", b"push-options", b"object-format=sha1"),
            capability_agent(),
        ]

    def handle(self) -> None:
        """Advertise, read, judge, commit, follow, report."""
        if self.advertise_refs or not self.stateless_rpc:
            self._advertise()
        if self.advertise_refs:
            return
        report = self._report
        try:
            push = read_commands(self.proto, most=self._settings.push_commands, agreed=report.agree)
        except PushRefused as refusal:
            report.end_without_verdict(str(refusal))
            return
        if push is None:
            return
        verdicts = self._receive(push, report)
        report.finish(verdicts.pop("", None) or "ok", verdicts)

    def _advertise(self) -> None:
        refs = sorted(self.repo.get_refs().items())
        first, rest = (refs[0], refs[1:]) if refs else ((Ref(b"capabilities^{}"), b"0" * 40), [])
        self.proto.write_pkt_line(format_ref_line(first[0], first[1], self.capabilities()))
        for ref, sha in rest:
            self.proto.write_pkt_line(format_ref_line(ref, sha))
        self.proto.write_pkt_line(None)

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
                accepted = judge_and_commit(self._store, self._app, self._user, push, quarantine)
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
                strict=not push.shallow,
                # Over HTTP nothing may be said before the request has been read to its end.
                silence=_nothing if self.stateless_rpc else report.keep_alive,
            )

    def _follow(self, operation_id: int, report: Report) -> str | None:
        """Show the deploy's log to its end. Returns None when it succeeded, else the reason."""
        report.say(["INFO: Initiating deploy..."])
        operation = follow_operation(
            self._store, operation_id, report, silence=self._settings.keepalive_seconds
        )
        if operation.status is OperationStatus.SUCCEEDED:
            return None
        return "deploy cancelled" if operation.cancelled else f"deploy failed: {operation.message}"


def _nothing() -> None:
    """Stay silent."""
