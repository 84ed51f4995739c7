"""Makes the runtime serve exactly one release of an app, from whatever state it is in.

Idempotent: the same function undoes a failed deploy, tidies after a successful one, and settles
what a killed worker left (DESIGN 4 and 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from enclave.errors import ContainerDied, OperationFailed
from enclave.release import Release
from worker.plan import Placement
from worker.runtime import Container, ContainerSpec, Runtime

_AT_A_TIME = 16


def serve_only(
    runtime: Runtime,
    placement: Placement,
    release: Release | None,
    configuration: Mapping[str, str],
) -> bool:
    """Remove every container of the app that is not the release's; run every one that is.

    ``release`` None: the app has none, nothing shall run. A container that is missing is made
    again from the release, which needs neither registry nor git. Returns whether the release had
    to be brought back, or was running as it should. Everything is tried before the first failure
    is raised, an ``OperationFailed``.
    """
    specs = placement.service_containers(release, configuration) if release else []
    names = {spec.name for spec in specs}
    present = {container.name: container for container in runtime.containers(placement.labels())}
    failures: list[OperationFailed] = []
    mended = False
    for name in present.keys() - names:
        with _collected(failures):
            runtime.remove(present[name])
    if failures:  # never two generations at once (SPEC 6.3)
        raise failures[0]
    for spec in specs:
        known = present.get(spec.name)
        mended = mended or known is None or not known.running
        with _collected(failures):
            if known is None:
                runtime.keep(runtime.start(spec))
            elif known.running:
                runtime.keep(known)  # a stop that was interrupted may have let go of it already
            else:
                _bring_back(runtime, known, spec)
    if failures:
        raise failures[0]
    return mended


def _bring_back(runtime: Runtime, known: Container, spec: ContainerSpec) -> None:
    """Start a stopped container again, or one like it.

    An Engine that was killed while it started a container may never start that one again
    ("task … already exists").
    """
    try:
        runtime.resume(known)
    except ContainerDied:
        runtime.remove(known)
        runtime.keep(runtime.start(spec))


@contextmanager
def _collected(failures: list[OperationFailed]) -> Iterator[None]:
    """Go on after a failure, and remember it."""
    try:
        yield
    except OperationFailed as error:
        failures.append(error)


def remove_all(runtime: Runtime, labels: Mapping[str, str]) -> None:
    """Remove every container with these labels."""
    for container in runtime.containers(labels):
        runtime.remove(container)


def stop_all(runtime: Runtime, containers: Iterable[Container], *, seconds: float) -> None:
    """Stop containers side by side, each with ``seconds`` from SIGTERM to SIGKILL.

    Raises what the first failure raised, after all have been tried.
    """
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        stops = [pool.submit(runtime.stop, each, seconds=seconds) for each in containers]
    for stop in stops:
        stop.result()
