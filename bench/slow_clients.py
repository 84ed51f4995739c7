"""How much a crowd of slow clients costs everybody else: pushes with and without it.

scripts/bench slow_clients            # 1,000 idle clients, 100 that say a byte a second
scripts/bench slow_clients --quick    # a tenth of them
scripts/bench slow_clients --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import click

from bench.pushing.client import Client, discard
from bench.pushing.crowd import Crowd, Manner
from bench.pushing.memory import Growth
from bench.pushing.ours import OurServer
from bench.pushing.page import markdown_table, write_section
from bench.pushing.raw_push import raw_push
from bench.pushing.repositories import Load, one_blob, two_files
from bench.pushing.run import bounded_run
from bench.pushing.servers import Transport

_TITLE = "Pushes among slow clients"
_WHOLE_RUN_SECONDS = 900
_CROWD_SECONDS = 400
_LINGER_SECONDS = 10
"""How long the crowd stands before anybody pushes: long enough to take every place there is."""
_DESCRIPTORS = 8192
_PATIENCE_SECONDS = 20
_FAILURES = 3
_SLOW_BLOB_BYTES = 20_000
_SLOW_AGENT = "slow" * 500
_ENDLESS = b"slow" * 500
_PACK_BEGUN = 64  # its header and the first bytes of an object
_MIB = 1 << 20
_HEAD = (
    *(" git push of two files", "alone", "in the crowd", "alone again", "ratio"),
    *("failed in the crowd", " why"),
)
_CROWD_HEAD = (" the crowd", "clients", "connections", "sent away")
_NOTES = f"""\
Times are seconds of one whole `git push`, each the first to an app of its own, to a branch that
deploys nothing; medians. **Ratio** is that in the crowd by that of all alone, before and after. A
push fails when git says so or after {_PATIENCE_SECONDS} s; after {_FAILURES} failures in a row
nobody tries again.

The crowd comes from as many addresses of 127.0.0.0/8 as it has clients, none of them the pusher's,
and has stood for {_LINGER_SECONDS} s when the first push begins. Half of the idle ones are at
the SSH port, half at the HTTP port; the others send a byte a second: the head of an HTTP request,
SSH's greeting, or, as another user who may push there, the commands of a push or its pack. Whom the
server sends away comes again within seconds: **sent away** counts how often."""


@dataclass(slots=True)
class Times:
    """The pushes over one transport, by when they were."""

    alone: list[float] = field(default_factory=list)
    crowded: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the crowd, fewer pushes.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
@click.option("--receivers", default=1, show_default=True, help="Our receiver processes.")
def main(*, quick: bool, write: bool, receivers: int) -> None:
    """Measure pushes with and without a crowd of slow clients."""
    _allow_descriptors()
    with bounded_run(_WHOLE_RUN_SECONDS) as directory:
        client = Client(directory / "home")
        load = two_files(directory / "load", commits=1)
        key = client.person.public_key
        with closing(OurServer(directory / "ours", public_key=key, receivers=receivers)) as ours:
            manners = _manners(directory, ours, share=10 if quick else 1)
            crowd = Crowd(manners, _CROWD_SECONDS)
            with Growth(ours.pids[0]) as growth:
                times = _measure(client, load, ours, crowd, rounds=5 if quick else 15)
    tables = f"{_times_table(times)}\n\n{_crowd_table(crowd)}"
    tables += f"\n\nThe receiver grew by {growth.bytes / _MIB:.1f} MiB."
    click.echo(tables)
    if write:
        write_section(_TITLE, f"{tables}\n\n{_NOTES}", by="slow_clients")


def _manners(directory: Path, ours: OurServer, *, share: int) -> list[tuple[Manner, int]]:
    """Return who is in the crowd, and how many of each: 1,000 and 100 by ``share``."""
    target = ours.new_target("slow")
    slow = one_blob(directory / "slow", size=_SLOW_BLOB_BYTES)
    url = ours.url_for_guest(target)
    raw_push(slow, slow.commits[-1], url, "refs/heads/quick").send()  # a guest may push, when quick
    push = raw_push(slow, slow.commits[-1], url, agent=_SLOW_AGENT)
    ssh = urlsplit(target.urls[Transport.SSH])
    assert ssh.hostname is not None and ssh.port is not None
    ssh_address, http_address = (ssh.hostname, ssh.port), push.address
    idle, slow_of_a_kind = 500 // share, 25 // share
    return [
        (Manner("idle, SSH", ssh_address), idle),
        (Manner("idle, HTTP", http_address), idle),
        (Manner("SSH's greeting", ssh_address, b"", b"SSH-2.0-" + _ENDLESS), slow_of_a_kind),
        (
            Manner("an HTTP head", http_address, b"", b"GET / HTTP/1.1\r\nX: " + _ENDLESS),
            slow_of_a_kind,
        ),
        (
            Manner("a push's commands", http_address, push.head, push.commands),
            slow_of_a_kind,
        ),
        (
            Manner(
                "a push's pack",
                http_address,
                push.head + push.commands + push.pack[:_PACK_BEGUN],
                push.pack[_PACK_BEGUN:],
            ),
            slow_of_a_kind,
        ),
    ]


def _measure(
    client: Client, load: Load, ours: OurServer, crowd: Crowd, *, rounds: int
) -> dict[Transport, Times]:
    """Push alone, in the crowd, and alone again. Raises ``RuntimeError`` when alone fails."""
    times = {over: Times() for over in Transport}
    numbers = count(1)

    def push(over: Transport, seconds: list[float], failures: list[str]) -> None:
        in_a_row = 0
        for _ in range(rounds):
            target = ours.new_target(f"push-{next(numbers)}")
            outcome = client.attempt(load, ours, target, over, patience=_PATIENCE_SECONDS)
            discard(target)
            if isinstance(outcome, float):
                seconds.append(outcome)
                in_a_row = 0
                continue
            failures.append(outcome)
            in_a_row += 1
            if in_a_row == _FAILURES:
                return

    failures_alone: list[str] = []
    for over in Transport:
        push(over, times[over].alone, failures_alone)
    with crowd:
        time.sleep(_LINGER_SECONDS)
        for over in Transport:
            push(over, times[over].crowded, times[over].failures)
    for over in Transport:
        push(over, times[over].again, failures_alone)
    if failures_alone:
        raise RuntimeError(f"pushes failed though nobody else was there: {failures_alone}")
    if crowd.left:
        raise RuntimeError("the crowd had left before the last push")
    return times


def _allow_descriptors() -> None:
    """Let this process, and the receivers it starts, hold the crowd's connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))


def _times_table(times: dict[Transport, Times]) -> str:
    rows = []
    for over, each in times.items():
        ratio = median(each.crowded) / median([*each.alone, *each.again]) if each.crowded else None
        tried = len(each.crowded) + len(each.failures)
        rows.append(
            [
                over,
                f"{median(each.alone):.3f}",
                f"{median(each.crowded):.3f}" if each.crowded else "-",
                f"{median(each.again):.3f}",
                f"{ratio:.2f}" if ratio is not None else "-",
                f"{len(each.failures)} of {tried}",
                _reason(each.failures),
            ]
        )
    return markdown_table(_HEAD, rows)


def _reason(failures: Sequence[str]) -> str:
    """Return what is worth a cell: the server's last word in the first failure, or else git's."""
    lines = [line.strip() for failure in failures[:1] for line in failure.splitlines()]
    lines = [line for line in lines if line not in ("", "remote:")]
    said = [line for line in lines if line.startswith("remote:")] or lines
    return said[-1].replace("|", "/") if said else ""


def _crowd_table(crowd: Crowd) -> str:
    rows = [
        [
            *(manner.title, f"{number:,}"),
            *(f"{crowd.connections[manner.title]:,}", f"{crowd.sent_away[manner.title]:,}"),
        ]
        for manner, number in crowd.manners
    ]
    return markdown_table(_CROWD_HEAD, rows)


if __name__ == "__main__":
    main()
