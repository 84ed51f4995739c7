"""Removes containers that nobody counts on: what is left when a worker dies after a release.

Every success says beforehand that it may leave some (``Ending.untidy``), so this never searches;
``sweep`` does, for what a worker that was thought dead made too late, and for what somebody stopped
or removed behind our back.
"""

from __future__ import annotations

import logging
from collections import defaultdict

from pydantic import ValidationError

from enclave.errors import EnclaveError, LeaseLost, StoreUnavailable
from enclave.settings import Settings
from enclave.store import Store
from enclave.store.leases import Lease
from worker.lease_keeper import LeaseKeeper
from worker.live import read_live
from worker.plan import Placement
from worker.routing import Routing
from worker.runtime import LABEL_APP, LABEL_INSTALLATION, Container, Runtime
from worker.runtime.guarded import GuardedRuntime
from worker.serve import serve_only

logger = logging.getLogger(__name__)


def tidy(
    store: Store, runtime: Runtime, settings: Settings, lease: Lease, keeper: LeaseKeeper
) -> None:
    """Make exactly the app's live release run; free the lease, which was taken for this.

    Raises ``LeaseLost`` or ``StoreUnavailable``: then whoever takes the lease next does it.
    """
    try:
        app = store.apps.app(lease.app_id)
        placement, live = Placement(store.installation(), app), read_live(store, app)
        guarded = GuardedRuntime(runtime, keeper.hold)
        routing = Routing(store, settings, lease)
        serve_only(guarded, placement, live.release, live.configuration, routing)
    except (LeaseLost, StoreUnavailable):
        raise
    except (EnclaveError, ValidationError) as error:  # its records may be unreadable
        logger.warning("app %s is not tidy yet: %s", lease.app_id, _why(error))
        store.leases.release(lease, tidy=False)
    else:
        store.leases.release(lease, tidy=True)


def sweep(store: Store, runtime: Runtime) -> int:
    """Compare all containers with all live releases, and have the apps tidied that need it.

    An app may have containers and no release, or a release and no container. Changes nothing
    itself: whoever has an app's lease does. Returns how many apps were found.
    """
    installation = store.installation()
    present: dict[int, list[Container]] = defaultdict(list)
    for container in runtime.containers({LABEL_INSTALLATION: installation}):
        present[int(container.labels[LABEL_APP])].append(container)
    found = 0
    for app_id in sorted(present.keys() | store.apps.provisioned()):
        containers = present.get(app_id, [])
        try:
            if store.leases.is_busy(app_id) or not _differ(store, installation, app_id, containers):
                continue
        except StoreUnavailable:
            raise
        except (EnclaveError, ValidationError) as error:  # of one app: the others are looked at
            logger.warning("the containers of app %s cannot be judged: %s", app_id, _why(error))
            continue
        logger.warning("containers of app %s are not what its release says: tidying", app_id)
        store.leases.untidy(app_id)
        found += 1
    return found


def _why(error: Exception) -> str:
    """Return the error's words; those of a record that is no record could quote it."""
    return str(error) if isinstance(error, EnclaveError) else type(error).__name__


def _differ(store: Store, installation: str, app_id: int, containers: list[Container]) -> bool:
    app = store.apps.app(app_id)
    release = read_live(store, app).release
    specs = Placement(installation, app).service_containers(release, {}) if release else []
    running = {each.name for each in containers if each.running or each.restarting}
    return {spec.name for spec in specs} != running or len(running) != len(containers)
