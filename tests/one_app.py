"""One app on a real store, and workers that run its operations on an Engine in memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine_double import Engine

from enclave.app import App, AppState
from enclave.changes import Changes
from enclave.operation import Operation, OperationRequest, OperationStatus, OperationType, Source
from enclave.people import User
from enclave.pushed_config import PushedConfig
from enclave.release import Release
from enclave.settings import Settings
from enclave.store import Store, keys
from worker.operation import run_next_operation
from worker.shutdown import Shutdown

LEASE = 1.5
ANN = User(1, "ann@example.com", "2026-01-01T00:00:00.000Z")


class OneApp:
    """An app on a real store, and workers that run its operations on one engine."""

    def __init__(self, store: Store, data: Path) -> None:
        self.store, self.engine = store, Engine()
        environment = store.apps.create_environment("prod")
        self.app: App = store.apps.create(environment, "web")
        self.settings = Settings(data=data, lease_seconds=LEASE, settle_seconds=0, stop_seconds=0)

    def deploy(self, image: str | None = None, pushed: PushedConfig | None = None) -> Operation:
        source = Source.KEEP if pushed is None else Source.COMMIT
        request = OperationRequest(
            self.app.id, OperationType.DEPLOY, 1, ANN.email, source=source, pushed=pushed
        )
        return self.store.operations.submit(request, Changes(image=image))

    def ask(self, kind: OperationType, changes: Changes | None = None, **request: Any) -> Operation:
        """Queue an operation of any type."""
        asked = OperationRequest(self.app.id, kind, 1, ANN.email, **request)
        return self.store.operations.submit(asked, changes or Changes())

    def done(
        self, kind: OperationType, changes: Changes | None = None, **request: Any
    ) -> Operation:
        """Have an operation of any type done; it must succeed."""
        operation = self.ask(kind, changes, **request)
        self.work()
        assert self.status(operation) is OperationStatus.SUCCEEDED, self.log(operation)
        return operation

    @property
    def state(self) -> AppState:
        return self.store.apps.app(self.app.id).state

    def release(self, number: int) -> Release:
        return self.store.apps.release(self.app.id, number)

    def worker(self, name: str = "worker", shutdown: Shutdown | None = None) -> threading.Thread:
        thread = threading.Thread(
            target=run_next_operation,
            args=(self.store, self.engine, self.settings, self.app.id, shutdown),
            name=name,
            daemon=True,
        )
        thread.start()
        return thread

    def work(self) -> None:
        self.worker().join(30)

    def status(self, operation: Operation) -> OperationStatus:
        return self.store.operations.operation(operation.id).status

    def log(self, operation: Operation) -> list[str]:
        return [entry.line for entry in self.store.logs.so_far(operation.id)]

    def lose_lease(self) -> None:
        """Let the lease run out, as if its worker had been frozen."""
        run = self.store.database.raw.info("server")["run_id"]
        lost = {"expires": 1, "doubted": 1, "doubted_in": run}
        self.store.database.raw.hset(keys.lease(self.app.id), mapping=lost)
