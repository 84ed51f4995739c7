"""Images: what the live release of an app runs: one at a time, known by the app's id."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Call, Caller, Paging
from api.git_remote import git_remote
from api.hal import Resource, collected
from enclave.app import App
from enclave.errors import NotFound
from enclave.release import Release

router = APIRouter(tags=["images"])


@router.get("/images/{image_id}", response_model=shapes.Image)
def show_image(image_id: int, caller: Caller) -> Resource:
    """Show the image of an app's live release; its id is the app's."""
    shown = render_image(caller, caller.app(image_id))
    if shown is None:
        raise NotFound("the app was never deployed")
    return shown


@router.get("/apps/{app_id}/images", response_model=shapes.Images)
def list_images(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the image of the app's live release, if there is one."""
    shown = render_image(caller, caller.app(app_id))
    address = caller.links.to("apps", app_id, "images")
    images = [shown] if shown else []
    return collected(address, "images", images, lambda image: image, page)


def docker_image(caller: Call, app: App) -> tuple[str | None, str | None]:
    """Return repository and digest of the live release, None twice before the first."""
    if app.state.release is None:
        return None, None
    return repository_and_digest(caller.store.apps.release(app.id, app.state.release))


def repository_and_digest(release: Release) -> tuple[str, str | None]:
    """Return where a release's image comes from, and its digest."""
    repository, at, digest = release.pinned.partition("@")
    return repository, digest if at else None


def render_image(caller: Call, app: App) -> Resource | None:
    """Return the live release's image, None before the first."""
    if app.state.release is None:
        return None
    release = caller.store.apps.release(app.id, app.state.release)
    repository, digest = repository_and_digest(release)
    return {
        "_type": "image",
        "id": app.id,
        "git_repo": git_remote(caller.settings, app),
        "git_ref": release.pushed.commit if release.pushed else None,
        "docker_repo": repository,
        "docker_ref": digest,
        "exposed_ports": list(release.exposed_ports),
        "created_at": release.created_at,
        "_links": caller.links.hal(self=["images", app.id], app=["apps", app.id]),
    }
