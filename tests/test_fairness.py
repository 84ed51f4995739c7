"""No app starves, however long another's queue is: RQ's list gives apps their turns."""

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.store import Store
from enclave.store.leases import Ending
from enclave.store.wakeups import QUEUE_NAME


def submit(store: Store, app: App) -> int:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
    return store.operations.submit(request, Changes()).id


def work(store: Store) -> int | None:
    """Do what a worker does with the next job of RQ's list; return the operation it ran."""
    job = store.database.redis.lpop(f"rq:queue:{QUEUE_NAME}")  # type: ignore[attr-defined]
    if job is None:
        return None
    app_id = int(str(job).partition("-")[0])
    lease = store.leases.take(app_id, holder=str(job), seconds=60)
    assert lease is not None
    store.leases.finish(lease, Ending(OperationStatus.SUCCEEDED, ""))
    return lease.operation_id


def test_apps_take_turns_and_each_in_its_own_order(store: Store) -> None:
    environment = store.apps.create_environment("prod")
    busy, other, third = (store.apps.create(environment, name) for name in ("a", "b", "c"))
    many = [submit(store, busy) for _ in range(5)]
    one, two = submit(store, other), submit(store, third)

    ran = [work(store) for _ in range(8)]

    assert ran == [many[0], one, two, *many[1:], None]
