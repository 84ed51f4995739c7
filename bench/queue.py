"""How long what is queued waits for an idle worker, and what a long queue costs.

scripts/bench queue            # all, three minutes
scripts/bench queue --quick    # fewer rounds and samples
scripts/bench queue --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles

import click

from bench.pushing.page import markdown_table, write_section
from bench.pushing.run import bounded_run
from bench.queueing.backlog import STEPS, Backlog, sample_in_turns
from bench.queueing.platform import platform
from bench.queueing.wakeup import WAYS, Race, reference_worker
from testbed.installation import Installation
from testbed.monitoring import commands_during, is_heartbeat, wait_until_idle

_TITLE = "From queued to running, and long queues"
_WHOLE_RUN_SECONDS = 600
_FEW, _FEW_APPS = 10, 10
_MANY, _MANY_APPS = 10_000, 1_000
_WAKEUP_HEAD = (" queued", "median", "95th percentile", "ratio")
_BACKLOG_HEAD = (" with so many waiting", f"{_FEW:,}", f"{_MANY:,}", "ratio")
_NOTES = f"""\
Times are milliseconds. The Redis is an installation's: `appendonly yes`, `appendfsync always`.

- **Queued** to running: from the moment the store has taken it in to the moment the operation's
  record says that it runs, of a whole installation with one worker, idle and waiting. The bare RQ
  job is an empty function for a worker of RQ itself on the same Redis, until its record says so;
  ours goes on from there to take the app's lease. They take turns, and each begins when all workers
  wait again. **Ratio**: by the bare RQ job's median. RQ's worker is its own command,
  and connects as redis-py does by default: that reads a package's metadata, a millisecond that ours
  saves.
- **With so many waiting**: the median of one such step beside {_FEW} operations of {_FEW_APPS} apps
  and beside {_MANY:,} of {_MANY_APPS:,}, every second one from a push, each queue in a Redis of its
  own, in turns and for an app chosen at random. What is queued is taken and ended at once, so the
  queues stay as long as they are.
- **Idle**: what Redis was asked (`MONITOR`), of that installation with nothing to do. RQ's workers
  say every 405 s that they live, in four commands each, and look through their own registries
  every ten minutes."""


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rounds and samples.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
def main(*, quick: bool, write: bool) -> None:
    """Measure the queue: waking a worker, beside a long queue, and at rest."""
    with bounded_run(_WHOLE_RUN_SECONDS) as directory:
        with platform() as installation:
            wakeups = _measure_wakeups(installation, rounds=20 if quick else 100)
            click.echo(wakeups)
            rest = _measure_rest(installation, seconds=10 if quick else 30)
            click.echo(rest)
        backlogs = _measure_backlogs(directory, samples=50 if quick else 400)
        click.echo(backlogs)
    if write:
        write_section(_TITLE, f"{wakeups}\n\n{backlogs}\n\n{rest}\n\n{_NOTES}", by="queue")


def _measure_wakeups(installation: Installation, *, rounds: int) -> str:
    with reference_worker(installation):
        race = Race(installation)
        race.run(warm_up=5, rounds=rounds)
    reference = median(race.seconds[WAYS[-1]])
    rows = [
        [way, _ms(median(seconds)), _ms(_95th(seconds)), f"{median(seconds) / reference:.2f}"]
        for way, seconds in race.seconds.items()
    ]
    return markdown_table(_WAKEUP_HEAD, rows)


def _measure_backlogs(directory: Path, *, samples: int) -> str:
    with ExitStack() as servers:
        few = Backlog(directory / "few", apps=_FEW_APPS, waiting=_FEW)
        servers.enter_context(closing(few))
        many = Backlog(directory / "many", apps=_MANY_APPS, waiting=_MANY)
        servers.enter_context(closing(many))
        sample_in_turns([few, many], warm_up=50, samples=samples)
    return markdown_table(_BACKLOG_HEAD, [_step(step, few.seconds, many.seconds) for step in STEPS])


def _measure_rest(installation: Installation, *, seconds: int) -> str:
    """Count what Redis is asked while nothing is to be done, and say so in a sentence."""
    wait_until_idle(installation)
    commands = commands_during(seconds, installation)
    kinds = Counter(" ".join(each.split()[:2]) for each in commands if not is_heartbeat(each))
    others = "".join(f", {count} `{kind}`" for kind, count in kinds.most_common())
    heartbeats = len(commands) - kinds.total()
    a_minute = 60 / seconds * len(commands)
    return (
        f"Idle for {seconds} s: {a_minute:.0f} commands a minute. "
        f"In all {heartbeats} of RQ's heartbeats{others or ', nothing else'}."
    )


def _step(
    step: str, few: Mapping[str, Sequence[float]], many: Mapping[str, Sequence[float]]
) -> list[str]:
    alone, beside = median(few[step]), median(many[step])
    return [step, _ms(alone), _ms(beside), f"{beside / alone:.2f}"]


def _95th(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


if __name__ == "__main__":
    main()
