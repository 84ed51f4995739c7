"""What clients ask for when they ask for a deploy, checked as it is queued (API.md, SPEC 3).

Old clients (0.11 to 0.16) send image and credentials among the variables, new ones (0.26) as
settings; both mean the same, and neither form lets them into a container.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field, StrictStr

from api.call import Call
from enclave.app import App
from enclave.changes import Changes, changed_state, read_changes
from enclave.errors import InvalidInput, NothingToDeploy
from enclave.operation import ZERO_ID, OperationRequest, OperationType, Source
from hooks.commitish import resolve

_REGISTRY = "APTIBLE_PRIVATE_REGISTRY"
_IMAGE = "APTIBLE_DOCKER_IMAGE"
_USERNAME = f"{_REGISTRY}_USERNAME"
_PASSWORD = f"{_REGISTRY}_PASSWORD"
_EMAIL = f"{_REGISTRY}_EMAIL"  # registries stopped asking for it: accepted, ignored
_SETTINGS = frozenset([_IMAGE, _USERNAME, _PASSWORD, _EMAIL])

_NOTHING = "You need to deploy either from git or a Docker image"

Variables = dict[StrictStr, StrictStr | None]
"""Names and values; an empty value or null unsets."""


class OperationBody(BaseModel):
    """The body of a POST to an app's operations; fields it does not know are ignored."""

    type: StrictStr
    git_ref: StrictStr | None = None
    env: Variables | None = None
    settings: Variables | None = None
    sensitive_settings: Variables | None = Field(None, repr=False)
    container_count: int | None = None

    def given(self, name: str) -> str | None:
        """Return a setting from wherever the client put it; None when it was not given."""
        for place in (self.settings, self.sensitive_settings, self.env):
            if place is not None and name in place:
                return place[name] or ""
        return None

    def variables(self) -> dict[str, str]:
        """Return the changes of configuration alone, without the settings among them."""
        return {
            name: value or "" for name, value in (self.env or {}).items() if name not in _SETTINGS
        }


def read_deploy(caller: Call, app: App, body: OperationBody) -> tuple[OperationRequest, Changes]:
    """Return the operation that the body asks for, and what it changes.

    Raises a kind of ``InvalidInput`` when it cannot be accepted. What waits already is counted in;
    the same is checked again when the operation starts (SPEC 3.8).
    """
    _refuse_what_cannot_be_stored(body)
    projected = caller.store.projected(app)
    image = body.given(_IMAGE)
    changes = read_changes(
        image=image,
        username=body.given(_USERNAME),
        password=body.given(_PASSWORD),
        environment=body.variables(),
        container_count=body.container_count,
        stored_image=None if image == "" else projected.image,
    )
    request = _with_source(
        caller,
        app,
        OperationRequest(app.id, OperationType.DEPLOY, caller.user.id, caller.user.email),
        body.git_ref or "",
    )
    wanted = changed_state(projected, request, changes)
    if wanted.image is None and wanted.pushed is None:
        raise NothingToDeploy(_NOTHING)
    if wanted.image is None and wanted.pushed is not None and not wanted.pushed.dockerfile:
        raise NothingToDeploy(
            f"{_NOTHING}: commit {wanted.pushed.commit[:8]} has no Dockerfile, and the app has no "
            "image. Give --docker-image, or push a Dockerfile"
        )
    return request, changes


def _with_source(
    caller: Call, app: App, request: OperationRequest, git_ref: str
) -> OperationRequest:
    if not git_ref:
        return request
    if git_ref == ZERO_ID:
        return replace(request, source=Source.DETACH)
    repository = caller.settings.repository(app.id)
    pushed = resolve(caller.store, repository, app, git_ref)
    return replace(request, source=Source.COMMIT, pushed=pushed)


def _refuse_what_cannot_be_stored(body: OperationBody) -> None:
    """Refuse half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    try:
        body.model_dump_json().encode()
    except ValueError:
        raise InvalidInput("The request holds text that is not Unicode.") from None
