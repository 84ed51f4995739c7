"""Writes what was seen into docs/reliability.md, between marks that name the section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from testbed.faults.cells import Step, Victim
from testbed.faults.trial import SETTLED_SECONDS, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def matrix(outcomes: Sequence[Outcome], *, seconds: float) -> str:
    """Return the matrix as a table: a row a step, a column a victim."""
    victims = [each for each in Victim if any(outcome.victim is each for outcome in outcomes)]
    found = {(outcome.victim, outcome.step): outcome for outcome in outcomes}
    lines = [
        f"| killed at | {' | '.join(victims)} |",
        f"|---|{'---|' * len(victims)}",
    ]
    for step in Step:
        cells = [_cell(found.get((victim, step))) for victim in victims]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    passed = sum(outcome.passed for outcome in outcomes)
    slowest = max((outcome.seconds for outcome in outcomes), default=0.0)
    lines += [
        "",
        f"{passed} of {len(outcomes)} cells ended as written, all checks included; the slowest "
        f"{slowest:.1f} s after its victim was back ({SETTLED_SECONDS} s are allowed). The run "
        f"took {seconds / 60:.0f} minutes.",
    ]
    return "\n".join(lines)


def write_section(name: str, text: str) -> None:
    """Replace what stands between the marks of that name. Raises ``ValueError`` without marks."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    page = PAGE.read_text()
    if begin not in page or end not in page:
        raise ValueError(f"{PAGE} has no section {name}")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page))


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if not outcome.passed:
        return "**not as written**"
    return f"{outcome.expected.ending}; {outcome.told}; {outcome.seconds:.1f} s"
