"""The fault matrix in short: each victim once, and the riskiest steps. ``scripts/faults`` runs all.

A cell's end was written before it was tried (``testbed/faults/cells.py``). A trial looks at
everything: operations, verdict, ref, containers, lease, and whether the next operation runs.
"""

from collections.abc import Iterator

import pytest

from testbed.faults.cells import Step, Victim, cells
from testbed.faults.platform import shaky_platform
from testbed.faults.trial import Trials

CELLS = [
    (Victim.RECEIVER, Step.TRANSACTION_SENT),
    (Victim.WORKER, Step.NEW_STARTED),
    (Victim.HORSE, Step.LEASE_TAKEN),
    (Victim.HORSE, Step.OLD_STOPPED),
    (Victim.HORSE, Step.SWITCHED),
    (Victim.HORSE, Step.DRAIN),
    (Victim.REDIS, Step.TRANSACTION_SENT),
    (Victim.REDIS, Step.COMMIT),
    (Victim.ROUTER, Step.SWITCH),
    (Victim.HAPROXY, Step.SWITCHED),
    (Victim.ENGINE, Step.DURING_1),
    (Victim.ENGINE, Step.COMMIT),
    (Victim.CLIENT, Step.TRANSACTION_SENT),
    (Victim.EVERYTHING, Step.TRANSACTION_SENT),
    (Victim.EVERYTHING, Step.COMMIT),
]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    with shaky_platform(tmp_path_factory.mktemp("faults")) as platform:
        yield Trials(platform)


@pytest.mark.parametrize(("victim", "step"), CELLS)
def test_a_deploy_ends_as_it_was_written(victim: Victim, step: Step, trials: Trials) -> None:
    outcome = trials.run(victim, step)
    assert outcome.passed, "\n".join(outcome.problems)


def test_every_victim_is_among_them() -> None:
    assert {victim for victim, _ in CELLS} == set(Victim)
    assert set(CELLS) <= set(cells())
