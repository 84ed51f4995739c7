"""Releases: what was put live, by whom, and which of it can be gone back to."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from api import shapes
from api.call import Call, Caller, Paging
from api.hal import Resource, collected
from api.images import repository_and_digest
from enclave.app import App
from enclave.errors import NotFound
from enclave.release import Release
from enclave.release_status import release_status

router = APIRouter(tags=["releases"])


@router.get("/apps/{app_id}/releases", response_model=shapes.Releases)
def list_releases(app_id: int, caller: Caller, page: Paging) -> Resource:
    """List the app's releases, newest first."""
    app = caller.app(app_id)
    address = caller.links.to("apps", app_id, "releases")
    releases = caller.store.apps.releases(app_id)
    return collected(address, "releases", releases, _renderer(caller, app), page)


@router.get("/apps/{app_id}/releases/{number}", response_model=shapes.Release)
def show_release_of_app(app_id: int, number: int, caller: Caller) -> Resource:
    """Show one release by its number."""
    app = caller.app(app_id)
    return _renderer(caller, app)(caller.store.apps.release(app_id, number))


@router.get("/releases/{release_id}", response_model=shapes.Release)
def show_release(release_id: int, caller: Caller) -> Resource:
    """Show one release by its id, which is that of the operation that made it."""
    app = caller.app(caller.operation(release_id).request.app_id)
    for release in caller.store.apps.releases(app.id):
        if release.operation_id == release_id:
            return _renderer(caller, app)(release)
    raise NotFound("that operation made no release")


def _renderer(caller: Call, app: App) -> Callable[[Release], Resource]:
    through = caller.store.images.expired_through(app.id)
    return lambda release: _release(caller, app, release, through)


def _release(caller: Call, app: App, release: Release, through: int) -> Resource:
    repository, digest = repository_and_digest(release)
    return {
        "_type": "release",
        "id": release.operation_id,
        "number": release.number,
        "status": release_status(release.number, live=app.state.release, expired_through=through),
        "type": release.type,
        "created_at": release.created_at,
        "user_email": release.user_email,
        "image": release.image,
        "docker_repo": repository,
        "docker_ref": digest,
        "digest": digest,
        "git_ref": release.pushed.commit if release.pushed else None,
        "_links": caller.links.hal(
            self=["apps", app.id, "releases", release.number],
            app=["apps", app.id],
            operation=["operations", release.operation_id],
        ),
    }
