"""From judged to stored: the hooks' word on a push becomes one transaction of the store."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from enclave.activity import Actor
from enclave.app import App
from enclave.checkpoints import reached
from enclave.errors import PushRefused
from enclave.operation import RefUpdate
from enclave.people import User
from enclave.store import Store
from enclave.store.pushes import PushOutcome, PushRequest, RefsView
from hooks.depth import DEEP_OBJECTS, check_depth
from hooks.objects import ObjectReader
from hooks.post_receive import deploy_request, words_for
from hooks.pre_receive import Judgement, judge
from receiver.commands import PushCommands
from receiver.quarantine import Quarantine

_JUDGEMENTS = 20  # times the deploy branch's reservations may change under one push

_WORDS = {
    "stale": "stale info: it moved meanwhile, fetch first",
    "reserved": "reserved by operation {} until it ends",
    "conflict": "conflicts with {}: git keeps one of the two names",
    "gone": "the app was deprovisioned meanwhile",
}
"""What the pusher reads for each verdict of the store (``PushOutcome``)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a push: what the hooks said, what the store holds."""

    judgement: Judgement
    outcome: PushOutcome
    deploying: tuple[str, ...]
    """The refs whose verdict is the operation's."""

    @property
    def operation_id(self) -> int | None:
        """The deploy that decides about ``deploying``: this push's own, or one under way."""
        if self.judgement.attach is not None:
            return self.judgement.attach.operation_id
        return self.outcome.operation_id

    def words(self, app: App) -> list[str]:
        """Return the lines the pusher sees before the deploy's log, if there is one."""
        lines = [f"WARN: {warning}" for warning in self.judgement.warnings]
        for ref, refusal in self.judgement.refused.items():
            if refusal.details:
                lines.append(f"ERROR: {ref}: {refusal}")
                lines += [f"ERROR: {detail}" for detail in refusal.details]
        for update in self.judgement.immediate:
            if self.outcome.verdicts.get(update.ref) == "ok" and update.ref not in self.deploying:
                lines += words_for(app, update)
        if self.judgement.attach is not None:
            lines.append(
                f"INFO: Operation {self.judgement.attach.operation_id} is deploying this commit "
                "already: showing its log from the beginning."
            )
        return lines

    def verdicts(self, push: PushCommands) -> dict[str, str | None]:
        """Return None (ok) or the reason a ref, as far as no operation decides."""
        return {command.ref: self._verdict(command.ref) for command in push.commands}

    def _verdict(self, ref: str) -> str | None:
        refusal = self.judgement.refused.get(ref)
        if refusal is not None:
            return str(refusal)
        word, _, argument = self.outcome.verdicts.get(ref, "ok").partition(" ")
        if word in _WORDS:
            return _WORDS[word].format(argument)
        if word == "ok" and any(each != "ok" for each in self.outcome.verdicts.values()):
            return "atomic push: another ref was refused" if self.judgement.atomic else None
        return None


def judge_and_commit(
    store: Store,
    app: App,
    user: User,
    push: PushCommands,
    quarantine: Quarantine,
    *,
    actor: Actor,
    committing: Callable[[], None],
) -> Accepted:
    """Judge a push and commit what passes; again when another push changed what was judged.

    The objects are the repository's before the transaction, so no stored ref lacks its objects.
    ``committing`` is called before the transaction is sent: from then on refs may have moved.
    Raises ``PushRefused``, or ``StoreUnavailable`` when nobody knows whether the push holds.
    """
    push_id = uuid.uuid4().hex
    deploys = any(command.ref == app.deploy_ref for command in push.commands)
    kept = False
    for _ in range(_JUDGEMENTS):
        view = store.pushes.view(app.id)
        with ObjectReader(quarantine.objects) as reader:
            judgement = judge(
                app,
                push.commands,
                view=view,
                objects=quarantine.objects,
                reader=reader,
                has_image=deploys and store.projected(app).image is not None,
                atomic=b"atomic" in push.capabilities,
            )
        attached = tuple(update.ref for update in judgement.attached)
        if not judgement.immediate and judgement.deploy is None:
            return Accepted(judgement, PushOutcome(), attached)
        if not kept:
            if quarantine.objects_taken >= DEEP_OBJECTS:
                tips = {update.new for update in judgement.moving}
                check_depth(quarantine.objects, tips, set(view.refs.values()))
            reached("pack received")
            quarantine.keep()
            kept = True
        request = replace(_transaction(push_id, app, user, judgement, view), actor=actor)
        committing()
        outcome = store.pushes.accept(request)
        reached("transaction sent")
        if not outcome.judge_again:
            operation = request.operation if outcome.operation_id is not None else None
            reserved = tuple(update.ref for update in operation.reserved) if operation else ()
            return Accepted(judgement, outcome, attached + reserved)
    raise PushRefused("too many pushes to this branch at a time: push again")


def _transaction(
    push_id: str, app: App, user: User, judgement: Judgement, view: RefsView
) -> PushRequest:
    """Say what the store may do: move refs now, and queue a deploy that moves the others."""
    immediate: tuple[RefUpdate, ...] = tuple(judgement.immediate)
    operation = None
    if judgement.deploy is not None:
        along = immediate if judgement.atomic else ()
        immediate = () if judgement.atomic else immediate
        operation = deploy_request(app, user, judgement.deploy, along)
    return PushRequest(
        push_id=push_id,
        app_id=app.id,
        atomic=judgement.atomic,
        immediate=immediate,
        operation=operation,
        deploy_ref=app.deploy_ref if operation else "",
        seen=view.reservations.get(app.deploy_ref, ""),
    )
