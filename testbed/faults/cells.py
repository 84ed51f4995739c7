"""Every cell of the matrix, and the end that it must come to: written before it was tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Victim(StrEnum):
    """What is killed with ``kill -9``."""

    RECEIVER = "receiver"
    WORKER = "worker"
    HORSE = "work horse"
    REDIS = "Redis"
    ENGINE = "Docker Engine"
    ROUTER = "router"
    HAPROXY = "HAProxy"
    CLIENT = "pushing client"
    EVERYTHING = "everything at once"


class Step(StrEnum):
    """Where the deploy is when that happens, in order. The values are checkpoints' names."""

    PACK_RECEIVED = "pack received"
    TRANSACTION_SENT = "transaction sent"
    QUEUED = "queued"
    LEASE_TAKEN = "lease taken"
    PULLING = "pulling"
    BEFORE_1 = "before_release 1"
    DURING_1 = "during before_release 1"
    BEFORE_2 = "before_release 2"
    OLD_STOPPED = "old stopped"
    NEW_STARTED = "new started"
    HEALTH = "health"
    SWITCH = "switch"
    SWITCHED = "switched"
    COMMIT = "commit"
    COMMITTED = "committed"
    DRAIN = "drain"


class Ending(StrEnum):
    """What became of the push."""

    NOTHING = "nothing happened"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Told(StrEnum):
    """What the pusher was told: git's exit status and report."""

    OK = "ok"
    NG = "ng"
    NO_VERDICT = "no verdict"


@dataclass(frozen=True, slots=True)
class Expected:
    """The end of a cell."""

    ending: Ending
    told: Told


STEPS = tuple(Step)
_BEGUN = STEPS[STEPS.index(Step.BEFORE_1) : STEPS.index(Step.COMMITTED)]
_DIE_WITH_THE_ENGINE = (Step.DURING_1, Step.NEW_STARTED, Step.HEALTH)
"""What has no restart policy yet does not come back with it: commands, containers to be checked."""
AFTER = (Step.COMMITTED, Step.DRAIN)
"""Behind the point of no return: the pusher knows already."""
_ROUTED = STEPS[STEPS.index(Step.NEW_STARTED) :]
"""Where routers are used."""
_IN_RECEIVER = (Step.PACK_RECEIVED, Step.TRANSACTION_SENT)

GOES_ON = Expected(Ending.SUCCEEDED, Told.OK)
UNSEEN = Expected(Ending.SUCCEEDED, Told.NO_VERDICT)
ROLLED_BACK = Expected(Ending.FAILED, Told.NG)
ROLLED_BACK_UNSEEN = Expected(Ending.FAILED, Told.NO_VERDICT)
NEVER_BEGAN = Expected(Ending.NOTHING, Told.NO_VERDICT)


def expected(victim: Victim, step: Step) -> Expected:
    """Return what must come of ``victim`` dying at ``step``, and coming back before it goes on."""
    if step in AFTER:
        return GOES_ON
    before, begun = step is Step.PACK_RECEIVED, step in _BEGUN
    by_victim = {
        Victim.RECEIVER: NEVER_BEGAN if before else UNSEEN,
        Victim.WORKER: GOES_ON,  # its work horse is an orphan, and ends the operation
        Victim.HORSE: ROLLED_BACK if begun else GOES_ON,
        Victim.REDIS: GOES_ON,
        Victim.ROUTER: GOES_ON,
        Victim.HAPROXY: GOES_ON,
        Victim.ENGINE: ROLLED_BACK if step in _DIE_WITH_THE_ENGINE else GOES_ON,
        Victim.CLIENT: UNSEEN,
        Victim.EVERYTHING: NEVER_BEGAN if before else ROLLED_BACK_UNSEEN if begun else UNSEEN,
    }
    return by_victim[victim]


def cells() -> list[tuple[Victim, Step]]:
    """Return every cell that can be: an idle work horse is none, nor a router nobody asks."""
    return [
        (victim, step)
        for victim in Victim
        for step in Step
        if not (victim is Victim.HORSE and step in _IN_RECEIVER)
        and (victim not in (Victim.ROUTER, Victim.HAPROXY) or step in _ROUTED)
    ]
