"""What each answer of the API takes beside ten apps, and beside ten thousand.

scripts/bench api            # all, five minutes, most of them to make the apps
scripts/bench api --quick    # a tenth of the apps, fewer samples
scripts/bench api --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, closing
from itertools import count
from statistics import median, quantiles
from time import perf_counter

import click

from bench.asking.house import House
from bench.asking.questions import QUESTIONS
from bench.pushing.page import markdown_table, write_section
from bench.pushing.run import bounded_run

_TITLE = "The API, with ten apps and with ten thousand"
_WHOLE_RUN_SECONDS = 900
_FEW, _MANY = 10, 10_000
_WARM_UP = 10
_NOTES = """\
Times are milliseconds, as an `httpx` client on one kept connection sees them: the whole answer of
a receiver of its own with a Redis of its own (`appendfsync always`). All apps are in one
environment, of which the asker is the admin; each has two services, variables, three releases and
as many operations. Each question is asked of both in turns, for an app chosen at random. A page has
ten apps. **Ratio**: of the medians; at most 1.5 is the aim."""


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the apps, fewer samples.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
def main(*, quick: bool, write: bool) -> None:
    """Measure the API's answers, and what they owe to the number of apps."""
    samples, most = (30, _MANY // 10) if quick else (200, _MANY)
    with bounded_run(_WHOLE_RUN_SECONDS) as directory, ExitStack() as stack:
        few, many = (
            stack.enter_context(closing(House(directory / str(apps), apps)))
            for apps in (_FEW, most)
        )
        seconds = {
            house.apps: times
            for house, times in zip((few, many), _ask([few, many], samples), strict=True)
        }
    head = (" question", f"{_FEW:,}", "95th", f"{most:,}", "95th", "ratio")
    rows = [_row(name, seconds[_FEW][name], seconds[most][name]) for name in QUESTIONS]
    table = markdown_table(head, rows)
    click.echo(table)
    if write:
        write_section(_TITLE, f"{table}\n\n{_NOTES}", by="api")


def _ask(houses: Sequence[House], samples: int) -> list[dict[str, list[float]]]:
    """Return the seconds that each question took, house by house; who is first changes."""
    taken: list[dict[str, list[float]]] = [defaultdict(list) for _ in houses]
    numbers = count()
    order = list(zip(houses, taken, strict=True))
    for name, question in QUESTIONS.items():
        for sample in range(_WARM_UP + samples):
            order.reverse()
            for house, times in order:
                asked = question(house, next(numbers))
                begin = perf_counter()
                answer = house.ask(asked.method, asked.path, asked.body)
                if sample >= _WARM_UP:
                    times[name].append(perf_counter() - begin)
                asked.undo(answer)
    return taken


def _row(name: str, few: Sequence[float], many: Sequence[float]) -> list[str]:
    ratio = median(many) / median(few)
    return [name, *_ms(few), *_ms(many), f"{ratio:.2f}"]


def _ms(seconds: Sequence[float]) -> tuple[str, str]:
    return f"{median(seconds) * 1000:.1f}", f"{quantiles(seconds, n=20)[-1] * 1000:.1f}"


if __name__ == "__main__":
    main()
