"""One Engine with the containers of hundreds of apps: starting, listing, and losing the Engine.

scripts/bench many_apps            # 300 apps, some three minutes
scripts/bench many_apps --apps 60
scripts/bench many_apps --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import docker

from bench.pushing.page import markdown_table, write_section
from bench.pushing.run import bounded_run
from testbed.engine import PrivateEngine
from testbed.images import build
from testbed.processes import wait_until
from worker.runtime import LABEL_APP, Container, ContainerSpec, Image
from worker.runtime.docker_engine import DockerEngine

_TITLE = "Hundreds of apps on one Engine"
_WHOLE_RUN_SECONDS = 900
_BACK_SECONDS = 400
_NETWORK, _SUBNET = "many-apps", "10.191.0.0/20"
_BARE_NETWORK = "many-apps-bare"
_SAMPLES = 20
_LABEL = "bench.many-apps"
_HEAD = (" a container is made and runs", "Enclave", "bare API", "ratio")
_NOTES = f"""\
Times are seconds. Every app has one container with a web server (busybox); all are on one bridge,
each with an address of its own, a memory limit and a restart policy.

- **Is made and runs**: `Runtime.start`, address included, beside create and start alone by Docker's
  SDK on a plain bridge of the same Engine; in turns, the median of {_SAMPLES}, as the first
  and as the last containers.
- **Listing** is the one request that says of all which run, where, and which image.
- **After `kill -9`** of the Engine: from its start until each container runs again."""


@click.command()
@click.option("--apps", default=300, show_default=True, help="How many.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md's section.")
def main(*, apps: int, write: bool) -> None:
    """Measure one Engine that has the containers of many apps."""
    if apps < 2 * _SAMPLES:
        raise click.BadParameter(f"at least {2 * _SAMPLES}")
    with bounded_run(_WHOLE_RUN_SECONDS) as directory:
        body = _measure(directory, apps)
    click.echo(body)
    if write:
        write_section(_TITLE, f"{body}\n\n{_NOTES}", by="many_apps")


def _measure(directory: Path, apps: int) -> str:
    with PrivateEngine(directory / "engine") as engine, engine.client() as client:
        build(engine.url, "many:1", cmd=["/bin/httpd", "-f", "-p", "8080", "-h", "/etc"])
        runtime = DockerEngine(
            engine.url, network=_NETWORK, subnet=_SUBNET, timeout=120, owner="bench"
        )
        image = runtime.image("many:1")
        if image is None:
            raise SystemExit("bench: the image is gone")
        client.create_network(_BARE_NETWORK, driver="bridge")
        begun = time.monotonic()
        first = _sample(runtime, client, image, 0)
        for number in range(_SAMPLES, apps - _SAMPLES):
            _start(runtime, image, number)
        last = _sample(runtime, client, image, apps - _SAMPLES)
        whole = time.monotonic() - begun
        before = _addresses(runtime)
        listing = median(_timed(lambda: runtime.containers({})) for _ in range(_SAMPLES))
        engine.kill()
        back = _timed(lambda: _bring_back(engine, runtime, apps))
        after = _addresses(runtime)
    kept = sum(after[name] == address for name, address in before.items())
    table = markdown_table(_HEAD, [_row("the first", *first), _row(f"number {apps}", *last)])
    return (
        f"{table}\n\n{apps} apps: {whole:.0f} s to start them one after the other, {listing:.3f} s "
        f"for listing them, {back:.0f} s until all ran again after `kill -9` of the Engine; "
        f"{len(set(before.values()))} different addresses, {kept} of them the same afterwards."
    )


def _sample(
    runtime: DockerEngine, client: docker.APIClient, image: Image, first: int
) -> tuple[float, float]:
    """Return the medians of ours, which stay, and of the bare API's, which go at once."""
    ours, bare = [], []
    for number in range(first, first + _SAMPLES):
        ours.append(_start(runtime, image, number))
        bare.append(_start_bare(client, image))
    return median(ours), median(bare)


def _start(runtime: DockerEngine, image: Image, number: int) -> float:
    spec = ContainerSpec(f"many-{number}", image.id, {LABEL_APP: str(number), _LABEL: "1"})
    made: list[Container] = []
    seconds = _timed(lambda: made.append(runtime.start(spec)))
    runtime.keep(made[0])
    return seconds


def _start_bare(client: docker.APIClient, image: Image) -> float:
    options = client.create_host_config(network_mode=_BARE_NETWORK)
    made: list[str] = []

    def start() -> None:
        made.append(client.create_container(image.id, host_config=options)["Id"])
        client.start(made[0])

    seconds = _timed(start)
    client.remove_container(made[0], force=True)
    return seconds


def _bring_back(engine: PrivateEngine, runtime: DockerEngine, apps: int) -> None:
    engine.restart(seconds=_BACK_SECONDS)
    wait_until(
        lambda: sum(bool(address) for address in _addresses(runtime).values()) == apps,
        seconds=_BACK_SECONDS,
        what="not every container came back",
    )


def _addresses(runtime: DockerEngine) -> dict[str, str]:
    return {each.name: each.address for each in runtime.containers({_LABEL: "1"}) if each.running}


def _timed(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def _row(name: str, ours: float, bare: float) -> list[str]:
    return [name, f"{ours:.3f}", f"{bare:.3f}", f"{ours / bare:.2f}"]


if __name__ == "__main__":
    main()
