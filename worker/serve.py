"""Makes the runtime serve exactly one release of an app, from whatever state it is in.

Idempotent: the same function undoes a failed deploy, tidies after a successful one, and settles
what a killed worker left (DESIGN 4 and 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from enclave.release import Release
from worker.plan import Placement
from worker.runtime import LABEL_OPERATION, Container, Runtime

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
    to be brought back, or was running as it should. Raises ``OperationFailed``.
    """
    present = runtime.containers(placement.labels())
    live = str(release.operation_id) if release else ""
    for container in present:
        if container.labels.get(LABEL_OPERATION) != live:
            runtime.remove(container)
    if release is None:
        return False
    mended = False
    by_name = {container.name: container for container in present}
    for spec in placement.service_containers(release, configuration):
        known = by_name.get(spec.name)
        if known is None:
            runtime.keep(runtime.start(spec))
            mended = True
        elif not known.running:
            runtime.resume(known)
            mended = True
    return mended


def stop_all(runtime: Runtime, containers: Iterable[Container], *, seconds: float) -> None:
    """Stop containers side by side, each with ``seconds`` from SIGTERM to SIGKILL.

    Raises what the first failure raised, after all have been tried.
    """
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        stops = [pool.submit(runtime.stop, each, seconds=seconds) for each in containers]
    for stop in stops:
        stop.result()
