"""Which story each type of operation is."""

from __future__ import annotations

from collections.abc import Callable

from enclave.operation import OperationType
from worker.deploy import Deploy
from worker.deprovision import DeprovisionApp
from worker.endpoints import Deprovision, Provision
from worker.redeploy import Configure, Restart, Rollback, Scale
from worker.work import Story, Work

_STORIES: dict[OperationType, Callable[[Work], Story]] = {
    OperationType.DEPLOY: Deploy,
    OperationType.REBUILD: Deploy,
    OperationType.RESTART: Restart,
    OperationType.CONFIGURE: Configure,
    OperationType.SCALE: Scale,
    OperationType.ROLLBACK: Rollback,
    OperationType.PROVISION: Provision,
}


def story_of(work: Work) -> Story:
    """Return the story of an operation. Raises ``OperationFailed``."""
    request = work.operation.request
    if request.type is OperationType.DEPROVISION:
        return DeprovisionApp(work) if request.endpoint is None else Deprovision(work)
    return _STORIES[request.type](work)
