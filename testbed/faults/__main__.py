"""``scripts/faults [VICTIM…]``: run the whole matrix, or some columns, and say how it ended.

With ``--write`` the matrix is written to docs/reliability.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from testbed.faults.cells import Victim, cells
from testbed.faults.platform import shaky_platform
from testbed.faults.report import matrix, write_section
from testbed.faults.trial import Trials


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 when every cell ended as it was written."""
    chosen = [each for each in arguments if each != "--write"]
    victims = [Victim(each) for each in chosen] or list(Victim)
    began = time.monotonic()
    outcomes = []
    with (
        tempfile.TemporaryDirectory(prefix="enclave-faults-", dir="/tmp") as directory,
        shaky_platform(Path(directory)) as platform,
    ):
        trials = Trials(platform)
        for victim, step in cells():
            if victim not in victims:
                continue
            outcome = trials.run(victim, step)
            outcomes.append(outcome)
            word = "passed" if outcome.passed else "FAILED"
            print(f"{word} {victim} at {step}: {outcome.seconds:.1f} s", flush=True)
            for problem in outcome.problems:
                print(f"    {problem}", flush=True)
    table = matrix(outcomes, seconds=time.monotonic() - began)
    print(table)
    if "--write" in arguments:
        write_section("matrix", table)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
