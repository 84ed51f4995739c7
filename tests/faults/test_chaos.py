"""Chaos in short: fifty kills. ``scripts/chaos N`` does more, and docs/reliability.md has a run."""

from pathlib import Path

from testbed.faults.cells import Victim
from testbed.faults.chaos import play, schedule
from testbed.faults.platform import shaky_platform

SEED = 20_261_124
KILLS = 50


def test_a_seed_plays_the_same_schedule_again() -> None:
    assert schedule(SEED, 50) == schedule(SEED, 80)[:50]
    assert schedule(SEED, 50) != schedule(SEED + 1, 50)
    routed = {Victim.ROUTER, Victim.HAPROXY}  # chaos has no endpoints; the matrix has
    assert {kill.victim for kill in schedule(SEED, 50)} == set(Victim) - routed


def test_fifty_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    with shaky_platform(tmp_path / "platform") as platform:
        run = play(platform, seed=SEED, kills=KILLS, directory=tmp_path)
    assert not run.verdict.problems, "\n".join(run.verdict.problems)
    assert run.verdict.told["ok"] >= 5, run.report()  # else there was no load
    assert run.verdict.commands > 0
