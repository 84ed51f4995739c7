"""What a redeploy of an image that is here already costs beside the bare Docker calls.

scripts/bench deploy            # 15 rounds, three minutes
scripts/bench deploy --quick    # 5 rounds
scripts/bench deploy --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import click

from bench.deploying.bare import BareDeploys, BareNetwork
from bench.deploying.enclave_deploys import EnclaveDeploys, Sample
from bench.pushing.page import markdown_table, write_section
from bench.pushing.run import bounded_run
from enclave.credentials import RegistryCredentials
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.registry import PrivateRegistry

_TITLE = "A redeploy, beside the bare Docker calls"
_WHOLE_RUN_SECONDS = 900
_WARM_UP = 3
_SETTLE = 0.5
_COMMAND = "trap 'exit 0' TERM; sleep 3600 & wait"
_SERVICES = (1, 4)
_AT_A_TIME = 16
_HEAD = (
    *(" redeploy", "Enclave", "bare, side by side", "more", "bare, in turns", "more"),
    *("queued", "tidied", "bare removal"),
)
_NOTES = f"""\
Times are milliseconds, medians. The image is present, and its registry (on loopback, with a
password) is asked for its digest each time. No service has an endpoint, so the old containers are
stopped before the new are made; each ends at once when it is told to. All ways take turns; who
goes first changes every time.

- **Enclave**: a whole installation, from the moment the store has been asked for the deploy to the
  moment the operation's record says that it succeeded, less the {_SETTLE} s that containers have to
  run before they count (`ENCLAVE_SETTLE_SECONDS`), exactly. No service is drained.
- **Bare**: a script with the same SDK, one connected client, the same options of the same
  containers on a bridge of its own: ask the registry, inspect the image, take the old containers'
  restart policy and stop them, create and start the new, inspect them, give them a restart policy.
  *Side by side*: each step for all containers at once; *in turns*: one after the other.
- **More**: the median of Enclave less the bare in the same round.
- **Queued**, of Enclave's time: until the operation runs. **Tidied**, after it: until the old
  containers are removed and the worker is idle, as seen from outside; **bare removal** is that of
  the script side by side.
- The second table tells where Enclave's time goes, by the times of its log's lines; *else* lies
  between its steps: the queue, the plan, the commit."""


class _Case:
    """One number of services, each way."""

    def __init__(self, services: int) -> None:
        self.services = services
        self.ours: list[Sample] = []
        self.together: list[tuple[float, float]] = []
        self.in_turns: list[tuple[float, float]] = []

    def run(
        self,
        ours: EnclaveDeploys,
        together: BareDeploys,
        in_turns: BareDeploys,
        *,
        backwards: bool,
    ) -> None:
        """Redeploy once each way; who goes first should change every time."""
        turns: list[Callable[[], None]] = [
            lambda: self.ours.append(ours.redeploy()),
            lambda: self.together.append(together.redeploy()),
            lambda: self.in_turns.append(in_turns.redeploy()),
        ]
        for turn in reversed(turns) if backwards else turns:
            turn()

    def forget(self) -> None:
        """Forget the rounds of warming up."""
        for samples in (self.ours, self.together, self.in_turns):
            samples.clear()

    @property
    def name(self) -> str:
        return f"{self.services} service{'s' if self.services > 1 else ''}"

    def row(self) -> list[str]:
        ours = [sample.whole - _SETTLE for sample in self.ours]
        columns = [
            ours,
            [kept for kept, _ in self.together],
            [mine - kept for mine, (kept, _) in zip(ours, self.together, strict=True)],
            [kept for kept, _ in self.in_turns],
            [mine - kept for mine, (kept, _) in zip(ours, self.in_turns, strict=True)],
            [sample.queued for sample in self.ours],
            [sample.tidied for sample in self.ours],
            [removed for _, removed in self.together],
        ]
        return [self.name, *map(_ms, columns)]

    def steps(self) -> dict[str, str]:
        seconds: dict[str, list[float]] = defaultdict(list)
        for sample in self.ours:
            for step, each in sample.steps.items():
                seconds[step].append(each - (_SETTLE if step == "Waiting" else 0))
        return {step: _ms(each) for step, each in seconds.items()}


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rounds.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
def main(*, quick: bool, write: bool) -> None:
    """Measure redeploys of one and of four services."""
    with bounded_run(_WHOLE_RUN_SECONDS) as directory:
        body = _measure(directory, rounds=5 if quick else 15)
    click.echo(body)
    if write:
        write_section(_TITLE, f"{body}\n\n{_NOTES}", by="deploy")


def _measure(directory: Path, *, rounds: int) -> str:
    settings = {"ENCLAVE_WORKERS": "1", "ENCLAVE_SETTLE_SECONDS": f"{_SETTLE}"}
    with (
        PrivateEngine(directory / "engine") as engine,
        PrivateRegistry(directory / "registry") as registry,
        Installation(engine.url, settings=settings) as installation,
        engine.client() as client,
    ):
        reference = Images(engine.url, registry).worker()
        stored = RegistryCredentials(registry.address, registry.username, registry.password)
        bare = {"username": registry.username, "password": registry.password}
        network = BareNetwork(client)
        cases = []
        for services in _SERVICES:
            case = _Case(services)
            ours = EnclaveDeploys(
                installation,
                reference,
                stored,
                name=f"of-{services}",
                command=_COMMAND,
                services=services,
            )
            together, in_turns = (
                BareDeploys(
                    client,
                    network,
                    reference,
                    bare,
                    name=f"bare-{services}-{at_a_time}",
                    command=("/bin/sh", "-c", _COMMAND),
                    services=services,
                    at_a_time=at_a_time,
                )
                for at_a_time in (_AT_A_TIME, 1)
            )
            for number in range(_WARM_UP + rounds):
                if number == _WARM_UP:
                    case.forget()
                case.run(ours, together, in_turns, backwards=number % 2 == 1)
            cases.append(case)
    return f"{markdown_table(_HEAD, [case.row() for case in cases])}\n\n{_breakdown(cases)}"


def _breakdown(cases: Sequence[_Case]) -> str:
    steps = list(cases[0].steps())
    rows = [[case.name, *(case.steps().get(step, "-") for step in steps)] for case in cases]
    return markdown_table((" redeploy", *steps), rows)


def _ms(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1000:.0f}"


if __name__ == "__main__":
    main()
