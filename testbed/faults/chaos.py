"""``scripts/chaos N [--seed S] [--write]``: N kills at random while pushes and deploys go on.

The seed decides who dies when and who asks for what: the same seed plays the same schedule again.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.faults.cells import Victim
from testbed.faults.crowd import Crowd
from testbed.faults.judge import Verdict, judge
from testbed.faults.platform import ShakyPlatform, shaky_platform
from testbed.faults.report import write_section

_WEIGHTS = {
    Victim.RECEIVER: 4,
    Victim.WORKER: 4,
    Victim.HORSE: 6,
    Victim.REDIS: 3,
    Victim.CLIENT: 4,
    Victim.ENGINE: 1,
    Victim.EVERYTHING: 1,
}
_SHORTEST, _LONGEST = 0.1, 1.6  # seconds from a victim's being back to the next kill


@dataclass(frozen=True, slots=True)
class Kill:
    """Wait ``after`` seconds, then kill ``victim``."""

    after: float
    victim: Victim


def schedule(seed: int, kills: int) -> list[Kill]:
    """Return who dies when: always the same for a seed, and a longer one begins like a shorter."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    victims, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    return [
        Kill(chance.uniform(_SHORTEST, _LONGEST), chance.choices(victims, weights)[0])
        for _ in range(kills)
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended, and what was found."""

    seed: int
    kills: list[Kill]
    verdict: Verdict
    seconds: float

    def report(self) -> str:
        """Return what happened, in a few lines of Markdown."""
        by_victim = Counter(kill.victim for kill in self.kills)
        victims = ", ".join(f"{victim} {count}" for victim, count in by_victim.most_common())
        lines = [
            f"{len(self.kills)} kills with seed {self.seed} in {self.seconds / 60:.0f} minutes: "
            f"{victims}.",
            "",
            *self.verdict.lines(),
        ]
        return "\n".join(lines)


def play(platform: ShakyPlatform, *, seed: int, kills: int, directory: Path) -> Run:
    """Let a crowd push and deploy while victims die; judge when all has come to rest."""
    began = time.monotonic()
    played = schedule(seed, kills)
    with Crowd(platform, seed=seed, directory=directory) as crowd:
        for number, kill in enumerate(played, 1):
            threading.Event().wait(kill.after)
            platform.kill(kill.victim, crowd.some_client(number))
            platform.bring_back(kill.victim)
            if number % 50 == 0:
                print(f"{number} kills, {crowd.asked()} asked", flush=True)
        back = time.monotonic()
        crowd.stop()
        verdict = judge(platform, crowd, back=back)
    return Run(seed, played, verdict, time.monotonic() - began)


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 when nothing was lost and nothing done twice."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="enclave-chaos-", dir="/tmp") as directory:
        folder = Path(directory)
        with shaky_platform(folder) as platform:
            run = play(platform, seed=chosen.seed, kills=chosen.kills, directory=folder)
    print(run.report())
    for problem in run.verdict.problems:
        print(f"    {problem}")
    if chosen.write:
        write_section("chaos", run.report())
    return 1 if run.verdict.problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}: {error.stderr}")
