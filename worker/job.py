"""The RQ job: "app N has work". It runs in a work horse, a child forked for each job."""

from __future__ import annotations

from enclave.settings import Settings, settings
from enclave.store import open_store
from worker.operation import run_next_operation
from worker.runtime import Runtime
from worker.runtime.docker_engine import DockerEngine

_ENGINE_SECONDS = 120.0  # for one answer that is not itself a wait


def work_on_app(app_id: int) -> None:
    """Run the app's next operation, if it has one and nobody else runs one (invariant 4).

    The end of an operation wakes a worker for the next, so that apps take turns.
    """
    chosen = settings()
    run_next_operation(open_store(chosen), open_runtime(chosen), chosen, app_id)


def open_runtime(chosen: Settings) -> Runtime:
    """Return this worker's Docker Engine."""
    return DockerEngine(
        chosen.engine_url,
        network=chosen.bridge,
        subnet=chosen.addresses,
        timeout=_ENGINE_SECONDS,
    )
