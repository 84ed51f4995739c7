"""How many pushes a second get through when 32 clients push at once, side by side with C git.

scripts/bench concurrent            # all, some minutes
scripts/bench concurrent --quick    # two rounds
scripts/bench concurrent --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing

import click

from bench.pushing.client import Client
from bench.pushing.contest import Contest, Contestant, Kind, Standing
from bench.pushing.ours import OurServer
from bench.pushing.page import markdown_table, write_section
from bench.pushing.reference import FCGIWRAP_PROCESSES, ReferenceServer
from bench.pushing.repositories import two_files
from bench.pushing.run import bounded_run
from bench.pushing.servers import Transport

_CLIENTS = 32
_TITLE = f"{_CLIENTS} pushes at once"
_WHOLE_RUN_SECONDS = 1200
_OUR_KEY_EXCHANGE = "curve25519-sha256"
_HEAD = (
    *(" at once", " over", "pushes a second", "processor a client"),
    *(" against", "pushes a second", "processor a client", "ratio"),
)
_NOTES = f"""\
{_CLIENTS} clients push two files each, the first push to an empty repository that was made before,
to branches that deploy nothing. All begin in one moment and the time ends with the last; the rate
is {_CLIENTS} by that time, the median of the rounds, in which the servers take turns. **Ratio**
above 1: more pushes a second than the other. Afterwards every ref is compared with its commit.

- The clients run on the same processors as the server, and **processor a client** is what the
  median client used of them: with 2 processors, no server, had it no work at all, could take more
  than 2 s by that number a second. The *light client* is not git but its two requests, prepared
  beforehand, a connection each, without the request that git sends to be refused first: what is
  left is the server's own rate.
- *One app*: all to branches of one app, against {_CLIENTS} apps of the same server.
- C git: as in the first section; fcgiwrap with {FCGIWRAP_PROCESSES} processes (`-c`; tried: 2 are
  slower, 4 and 8 no quicker), sshd's `MaxStartups` raised.
- OpenSSH's client and server agree on the key exchange `sntrup761x25519-sha512`; its keys cost the
  client, on these same processors, more than all the rest of its push. asyncssh offers it only with
  liboqs, which is not installed: with Enclave the same client uses `{_OUR_KEY_EXCHANGE}`. *C git,
  curve25519* is OpenSSH's server held to that."""

Comparison = tuple[Contestant, Contestant]


@click.command()
@click.option("--quick", is_flag=True, help="Two rounds.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
@click.option("--receivers", default=1, show_default=True, help="Our receiver processes.")
@click.option("--over", type=click.Choice(["ssh", "http"]), help="Only this transport.")
def main(*, quick: bool, write: bool, receivers: int, over: str | None) -> None:
    """Measure 32 pushes at once to Enclave and to C git."""
    with bounded_run(_WHOLE_RUN_SECONDS) as directory, ExitStack() as servers:
        client = Client(directory / "home")
        loads = [
            two_files(directory / f"load-{number}", commits=1 + number)
            for number in range(_CLIENTS)
        ]
        key = client.person.public_key
        ours = OurServer(directory / "ours", public_key=key, receivers=receivers)
        servers.enter_context(closing(ours))
        reference = ReferenceServer(directory / "c", public_key=key)
        servers.enter_context(closing(reference))
        held_to_ours = ReferenceServer(
            directory / "c-curve25519", public_key=key, key_exchange=_OUR_KEY_EXCHANGE
        )
        servers.enter_context(closing(held_to_ours))
        compared = [
            (one, other)
            for one, other in _comparisons(ours, reference, held_to_ours)
            if over is None or one.over is Transport[over.upper()]
        ]
        contestants = list(dict.fromkeys(each for pair in compared for each in pair))
        standings = Contest(client, loads).hold(contestants, rounds=2 if quick else 9)
    table = _table(compared, standings)
    click.echo(table)
    if write:
        processes = f"Enclave: {receivers} receiver process{'es' if receivers > 1 else ''}."
        write_section(_TITLE, f"{table}\n\n{_NOTES}\n- {processes}", by="concurrent")


def _comparisons(
    ours: OurServer, reference: ReferenceServer, held_to_ours: ReferenceServer
) -> list[Comparison]:
    """Say who is compared with whom."""
    pairs = []
    for over in (Transport.HTTP, Transport.SSH):
        apps = Contestant("Enclave", over, ours)
        pairs.append((apps, Contestant("C git", over, reference)))
        if over is Transport.SSH:
            pairs.append((apps, Contestant("C git, curve25519", over, held_to_ours)))
        else:
            light = Contestant("Enclave, light client", over, ours, Kind.LIGHT)
            pairs.append((light, Contestant("C git, light client", over, reference, Kind.LIGHT)))
        pairs.append((Contestant("Enclave, one app", over, ours, Kind.BRANCHES), apps))
    return pairs


def _table(compared: Sequence[Comparison], standings: Mapping[Contestant, Standing]) -> str:
    rows = []
    for one, other in compared:
        ours, theirs = standings[one], standings[other]
        rows.append(
            [
                *(one.title, one.over, *_figures(ours)),
                *(other.title, *_figures(theirs), f"{ours.rate / theirs.rate:.2f}"),
            ]
        )
    return markdown_table(_HEAD, rows)


def _figures(standing: Standing) -> tuple[str, str]:
    return f"{standing.rate:.1f}", f"{standing.client_cpu_seconds * 1000:.1f} ms"


if __name__ == "__main__":
    main()
