"""How long a push takes, and what it costs in memory, side by side with C git in one run.

    scripts/bench push            # all cases, over SSH and HTTP: some minutes
    scripts/bench push --quick    # smaller loads, fewer rounds: under a minute
    scripts/bench push --write    # … and write its section of docs/benchmarks.md

Everything runs on loopback in a directory below /tmp, and is gone at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click

from bench.pushing.client import Client
from bench.pushing.comparison import Case, Comparison, Row
from bench.pushing.ours import OurServer
from bench.pushing.page import write_section
from bench.pushing.reference import ReferenceServer
from bench.pushing.repositories import history, one_blob, two_files
from bench.pushing.run import bounded_run
from bench.pushing.servers import Transport
from bench.pushing.table import section, table

_TITLE = "A push, side by side with C git"
_WHOLE_RUN_SECONDS = 600
_MB = 1_000_000


def cases(directory: Path, *, quick: bool) -> list[Case]:
    """Return what is pushed, smallest first."""
    few, some, many = (3, 2, 1) if quick else (15, 5, 3)
    objects, size = (20_000, 50) if quick else (100_000, 200)
    return [
        Case("two files", partial(two_files, directory / "first", commits=1), few),
        Case(
            "two files, next commit",
            partial(two_files, directory / "next", commits=few + 1),
            few,
            incremental=True,
        ),
        Case("5,000 objects", partial(history, directory / "some", objects=5_000), some),
        Case(f"{objects:,} objects", partial(history, directory / "many", objects=objects), many),
        Case(f"a {size} MB blob", partial(one_blob, directory / "blob", size=size * _MB), many),
    ]


@click.command()
@click.option("--quick", is_flag=True, help="Smaller loads and fewer rounds, under a minute.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
@click.option("--only", default="", help="Only cases whose title contains this.")
@click.option("--over", type=click.Choice(["ssh", "http"]), help="Only this transport.")
def main(*, quick: bool, write: bool, only: str, over: str | None) -> None:
    """Measure pushes to Enclave and to C git."""
    transports = [Transport[over.upper()]] if over else list(Transport)
    with bounded_run(_WHOLE_RUN_SECONDS) as directory:
        chosen = [case for case in cases(directory, quick=quick) if only in case.title]
        rows = _measure(directory, chosen, transports)
    click.echo(table(rows))
    if write:
        write_section(_TITLE, section(rows), by="push")


def _measure(directory: Path, chosen: Sequence[Case], transports: Sequence[Transport]) -> list[Row]:
    """Bring both servers up, and compare them case by case."""
    client = Client(directory / "home")
    small = two_files(directory / "small", commits=1)
    rows = []
    with ExitStack() as servers:
        key = client.person.public_key
        ours = servers.enter_context(closing(OurServer(directory / "ours", public_key=key)))
        reference = servers.enter_context(closing(ReferenceServer(directory / "c", public_key=key)))
        comparison = Comparison(client, ours, reference, small=small)
        for case in chosen:
            load = case.make()
            for over in transports:
                rows.append(comparison.compare(case, load, over))
                print(f"{case.title}, {over}: ratio {rows[-1].ratio:.2f}", file=sys.stderr)
    return rows


if __name__ == "__main__":
    main()
