"""What an accepted push sets off: a deploy for the deploy branch, words for every other ref."""

from __future__ import annotations

from enclave.app import App
from enclave.operation import OperationRequest, OperationType, RefUpdate, Source
from enclave.people import User


def deploy_request(
    app: App, user: User, deploy: RefUpdate, along: tuple[RefUpdate, ...] = ()
) -> OperationRequest:
    """Return the deploy that a push to the deploy branch asks for (SPEC 2.1).

    ``along`` are the other refs of an atomic push, which move with it or not at all (SPEC 2.9).
    """
    return OperationRequest(
        app_id=app.id,
        type=OperationType.DEPLOY,
        user_id=user.id,
        user_email=user.email,
        source=Source.COMMIT,
        pushed=deploy.config,
        reserved=(deploy, *along),
    )


def words_for(app: App, update: RefUpdate) -> list[str]:
    """Tell the pusher what became of a ref that deploys nothing (SPEC 2.4)."""
    name = update.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    kind = "tag" if update.ref.startswith("refs/tags/") else "branch"
    if update.deletes:
        return [f"INFO: Deleted {kind} {name}."]
    lines = [f"INFO: Stored {kind} {name} at {update.new[:8]}. Nothing was deployed."]
    if update.config is not None:
        lines.append(
            f"INFO: To deploy it: aptible deploy --app {app.handle} --git-commitish {name}"
        )
    if kind == "branch":
        lines.append(
            f"INFO: Only a push to {app.deploy_branch} deploys by itself: "
            f"git push aptible {update.new[:8]}:{app.deploy_ref}"
        )
    return lines
