"""Whether the thousandth push is as quick as the tenth, and a clone after it as quick as C git's.

scripts/bench ageing            # 1,000 pushes over each transport: a quarter of an hour
scripts/bench ageing --quick    # 60 pushes
scripts/bench ageing --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing

import click

from bench.pushing.client import Client
from bench.pushing.life import YOUTH, Life
from bench.pushing.ours import OurServer
from bench.pushing.page import markdown_table, write_section
from bench.pushing.reference import ReferenceServer
from bench.pushing.repositories import Load, two_files
from bench.pushing.run import bounded_run
from bench.pushing.servers import Server, Transport

_TITLE = "A thousand pushes later"
_WHOLE_RUN_SECONDS = 3000
_PUSHES, _QUICK_PUSHES = 1000, 60
_CLONES = 7
_PUSH_HEAD = (
    *(" pushes", " over", "10th", "last", "ratio"),
    *("10th of a young one", "ratio", "packs", "packs at rest"),
)
_CLONE_HEAD = (" clone", "Enclave", "C git", "ratio")
_NOTES = f"""\
One repository a server and transport takes one commit after the other, three objects each, to a
branch that deploys nothing. Both servers take turns at every push, and the same client pushes to
both. Times are seconds of one whole `git push`, SSH's handshake included.

- **10th** is the median of the 6th to the {YOUTH}th push, **last** that of the last ten, minutes
  later. **10th of a young one** is the same of a second, empty repository, measured in turns with
  the last ten: this ratio knows nothing of what else the machine did in between.
- **Packs** are those after the last push, **at rest** those that were left when nothing changed any
  more: both servers tidy up in the background (C git: `receive.autoGC`, its default).
- The clone is `git clone --bare` of all that was pushed, at rest, the median of {_CLONES} in
  turns."""


@click.command()
@click.option("--quick", is_flag=True, help=f"{_QUICK_PUSHES} pushes.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
@click.option("--over", type=click.Choice(["ssh", "http"]), help="Only this transport.")
def main(*, quick: bool, write: bool, over: str | None) -> None:
    """Measure how pushes and clones age, beside C git."""
    transports = [Transport[over.upper()]] if over else list(Transport)
    with bounded_run(_WHOLE_RUN_SECONDS) as directory, ExitStack() as servers:
        client = Client(directory / "home")
        load = two_files(directory / "load", commits=_QUICK_PUSHES if quick else _PUSHES)
        key = client.person.public_key
        ours = servers.enter_context(closing(OurServer(directory / "ours", public_key=key)))
        reference = servers.enter_context(closing(ReferenceServer(directory / "c", public_key=key)))
        pairs = [_live(client, load, over, (ours, reference)) for over in transports]
    tables = f"{_pushes_table(pairs)}\n\n{_clones_table(pairs)}"
    click.echo(tables)
    if write:
        write_section(_TITLE, f"{tables}\n\n{_NOTES}", by="ageing")


def _live(client: Client, load: Load, over: Transport, servers: Sequence[Server]) -> Sequence[Life]:
    """Push everything to both servers, let them come to rest, then clone from both."""
    lives = [
        Life(
            server,
            over,
            server.new_target(f"old-{over.lower()}"),
            server.new_target(f"young-{over.lower()}"),
        )
        for server in servers
    ]
    for number in range(len(load.commits)):
        for life in lives if number % 2 else reversed(lives):
            life.push(client, load, number)
        if number % 100 == 99:
            print(f"{over}: {number + 1} pushes", file=sys.stderr)
    for life in lives:
        life.settle()
    for number in range(_CLONES):
        for life in lives if number % 2 else reversed(lives):
            life.clones.append(client.clone(life.old, over, commit=load.commits[-1]))
    return lives


def _pushes_table(pairs: Sequence[Sequence[Life]]) -> str:
    rows = [
        [
            *(life.server.name, life.over),
            *(f"{life.tenth:.3f}", f"{life.last:.3f}", f"{life.last / life.tenth:.2f}"),
            *(f"{life.young_tenth:.3f}", f"{life.last / life.young_tenth:.2f}"),
            *(str(life.packs_left), str(life.packs_at_rest)),
        ]
        for lives in pairs
        for life in lives
    ]
    return markdown_table(_PUSH_HEAD, rows)


def _clones_table(pairs: Sequence[Sequence[Life]]) -> str:
    rows = [
        [
            *(ours.over, f"{ours.clone:.3f}", f"{reference.clone:.3f}"),
            f"{ours.clone / reference.clone:.2f}",
        ]
        for ours, reference in pairs
    ]
    return markdown_table(_CLONE_HEAD, rows)


if __name__ == "__main__":
    main()
