"""Makes the runtime serve exactly one release of an app, from whatever state it is in.

Idempotent: the same function undoes a failed deploy, tidies after a successful one, and settles
what a killed worker left (DESIGN 4 and 5).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from enclave.app import App
from enclave.checkpoints import reached
from enclave.errors import ContainerDied, OperationFailed, StoreUnavailable
from enclave.release import Release
from enclave.store.followers import LAST_WORDS_SECONDS
from worker.plan import Placement
from worker.routing import Routing
from worker.runtime import (
    LABEL_SERVICE,
    LABEL_STOP_SECONDS,
    Container,
    ContainerSpec,
    Runtime,
)

_AT_A_TIME = 16


def serve_only(
    runtime: Runtime,
    placement: Placement,
    release: Release | None,
    configuration: Mapping[str, str],
    routing: Routing | None = None,
) -> bool:
    """Remove every container of the app that is not the release's; run every one that is.

    ``release`` None: the app has none, nothing shall run. A container that is missing is made
    again from the release, which needs neither registry nor git. Services with an endpoint get
    their requests back before the containers go that had them. Returns whether the release had
    to be brought back, or was running as it should. Everything is tried before the first failure
    is raised, an ``OperationFailed``.
    """
    specs = placement.service_containers(release, configuration) if release else []
    names = {spec.name for spec in specs}
    present = {container.name: container for container in runtime.containers(placement.labels())}
    strangers = [container for name, container in present.items() if name not in names]
    routed = {endpoint.process_type for endpoint in placement.app.state.endpoints}
    serving = [each for each in strangers if each.labels.get(LABEL_SERVICE) in routed]
    idle = [each for each in strangers if each not in serving]
    take_away(runtime, routing, placement.app, idle)
    failures: list[OperationFailed] = []
    mended = False
    running: list[Container] = []
    for spec in specs:
        known = present.get(spec.name)
        mended = mended or known is None or not known.running
        with _collected(failures):
            running.append(_serve(runtime, known, spec))
    if failures:
        raise failures[0]
    if routing is not None:
        routing.serve_only(placement.app, release, running)
        retire(runtime, routing, placement.app, serving)
    else:
        take_away(runtime, routing, placement.app, serving)
    return mended


def retire(
    runtime: Runtime,
    routing: Routing,
    app: App,
    serving: Sequence[Container],
    stopped: Sequence[Container] = (),
) -> None:
    """Drain and stop containers that requests have been sent to (SPEC 6.3), and remove these and
    what is stopped.

    Raises ``OperationFailed`` or ``StoreUnavailable``.
    """
    if serving:
        reached("drain")
        routing.drained(app.state.endpoints)
        stop_all(runtime, serving, seconds=routing.settings.stop_seconds)
    take_away(runtime, routing, app, [*serving, *stopped])


def take_away(
    runtime: Runtime, routing: Routing | None, app: App, containers: Sequence[Container]
) -> None:
    """Remove containers of an app that are not wanted any more, running or not.

    While somebody follows what they print, they are stopped first (SIGKILL comes at once behind
    SIGTERM) and stay for ``LAST_WORDS_SECONDS``: their output is gone with them. Removes as many as
    it can, then raises the first failure, an ``OperationFailed``: never two generations at once
    (SPEC 6.3).
    """
    failures: list[OperationFailed] = []
    services = [each for each in containers if LABEL_SERVICE in each.labels]
    if services and routing is not None and _is_followed(routing, app):
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            stops = [pool.submit(runtime.stop, each, seconds=0) for each in services]
        for stop in stops:
            with suppress(OperationFailed):  # what cannot be stopped may still be removed
                stop.result()
        time.sleep(LAST_WORDS_SECONDS)
    for container in containers:
        with _collected(failures):
            runtime.remove(container)
    if failures:
        raise failures[0]


def _is_followed(routing: Routing, app: App) -> bool:
    try:
        return routing.store.followers.any(app.id)
    except StoreUnavailable:
        return False  # words are worth less than a way back


def _serve(runtime: Runtime, known: Container | None, spec: ContainerSpec) -> Container:
    """Run one container of the release, whatever is there of it."""
    if known is None:
        return _started(runtime, spec)
    if known.running:
        runtime.keep(known)  # a stop that was interrupted may have let go of it already
        return known
    return _bring_back(runtime, known, spec)


def _started(runtime: Runtime, spec: ContainerSpec) -> Container:
    container = runtime.start(spec)
    runtime.keep(container)
    return container


def _bring_back(runtime: Runtime, known: Container, spec: ContainerSpec) -> Container:
    """Start a stopped container again, or one like it.

    An Engine that was killed while it started a container may never start that one again
    ("task … already exists").
    """
    try:
        return runtime.resume(known)
    except ContainerDied:
        runtime.remove(known)
        return _started(runtime, spec)


@contextmanager
def _collected(failures: list[OperationFailed]) -> Iterator[None]:
    """Go on after a failure, and remember it."""
    try:
        yield
    except OperationFailed as error:
        failures.append(error)


def stop_all(runtime: Runtime, containers: Iterable[Container], *, seconds: float) -> None:
    """Stop containers side by side, each with its service's time from SIGTERM to SIGKILL.

    ``seconds`` is for those that have none of their own. Raises what the first failure raised,
    after all have been tried.
    """
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        stops = [
            pool.submit(
                runtime.stop, each, seconds=float(each.labels.get(LABEL_STOP_SECONDS, seconds))
            )
            for each in containers
        ]
    for stop in stops:
        stop.result()
