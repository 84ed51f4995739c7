"""The RQ jobs: "app N has work", and a look at the whole Engine now and then.

They run in a work horse, a child forked for each job.
"""

from __future__ import annotations

from enclave.settings import Settings, settings
from enclave.store import Store, open_store
from worker.image_cleaning import ImageCleaning
from worker.operation import run_next_operation
from worker.runtime import Runtime
from worker.runtime.docker_engine import DockerEngine
from worker.shutdown import Shutdown
from worker.tidying import sweep

SHUTDOWN = Shutdown()
"""This process's: a work horse runs one job."""


def work_on_app(app_id: int) -> None:
    """Run the app's next operation, if it has one and nobody else runs one (invariant 4).

    The end of an operation wakes a worker for the next, so that apps take turns.
    """
    chosen = settings()
    store = open_store(chosen)
    run_next_operation(store, open_runtime(store, chosen), chosen, app_id, SHUTDOWN)


def sweep_engine() -> None:
    """Find containers that nobody counts on, and have their apps tidied; remove such images."""
    chosen = settings()
    store = open_store(chosen)
    runtime = open_runtime(store, chosen)
    sweep(store, runtime)
    ImageCleaning(store, runtime, releases_kept=chosen.releases_kept).sweep()


def open_runtime(store: Store, chosen: Settings) -> Runtime:
    """Return this worker's Docker Engine."""
    return open_engine(store.installation(), chosen)


def open_engine(installation: str, chosen: Settings) -> DockerEngine:
    """Return this process's Docker Engine."""
    return DockerEngine(
        chosen.engine_url,
        network=chosen.bridge,
        subnet=chosen.addresses,
        timeout=chosen.engine_seconds,
        owner=installation,
        least_free=chosen.engine_free_bytes,
    )
