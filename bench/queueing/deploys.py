"""Deploys to queue: one as ``aptible deploy`` asks for it, one as a push does.

Neither app has an image, so a worker ends each with "nothing to deploy" and needs no Docker Engine.
"""

from __future__ import annotations

import secrets
from time import perf_counter

from enclave.app import App
from enclave.changes import Changes
from enclave.operation import ZERO_ID, OperationRequest, OperationType, RefUpdate, Source
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from enclave.store.pushes import PushRequest

_BRANCH = "refs/heads/master"
_EMAIL = "bench@example.com"


def submit(store: Store, app: App) -> tuple[int, float]:
    """Queue a deploy without a push; return its number, and the seconds that took."""
    request = OperationRequest(app.id, OperationType.DEPLOY, user_id=1, user_email=_EMAIL)
    begin = perf_counter()
    operation = store.operations.submit(request, Changes())
    return operation.id, perf_counter() - begin


def push(store: Store, app: App) -> tuple[int, float]:
    """Have a push to the deploy branch accepted; return its operation, and the seconds that took.

    What the push is judged against is read before the clock runs.
    """
    commit = secrets.token_hex(20)
    config = PushedConfig(commit, "web: run")
    update = RefUpdate(_BRANCH, ZERO_ID, commit, config)
    request = PushRequest(
        push_id=secrets.token_hex(16),
        app_id=app.id,
        atomic=False,
        immediate=(),
        operation=OperationRequest(
            app.id,
            OperationType.DEPLOY,
            user_id=1,
            user_email=_EMAIL,
            source=Source.COMMIT,
            pushed=config,
            reserved=(update,),
        ),
        deploy_ref=_BRANCH,
        seen=store.pushes.view(app.id).reservations.get(_BRANCH, ""),
    )
    begin = perf_counter()
    outcome = store.pushes.accept(request)
    seconds = perf_counter() - begin
    if outcome.operation_id is None:
        raise RuntimeError(f"a push was not accepted: {outcome}")
    return outcome.operation_id, seconds
