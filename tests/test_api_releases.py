"""Releases as the API lists them: number, time, who, image and digest, commit, status."""

from pathlib import Path

import pytest
from api_app import DIGEST, ROOT, UNKNOWN, A, ApiApp, follow

from enclave.store import Store


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    return ApiApp(store, tmp_path)


def test_a_release(world: ApiApp) -> None:
    made = world.put_live(1, image="nginx:1", commit=A)
    app = world.admin.get(world.path).json()
    listed = follow(world.admin, app, "releases")
    (release,) = listed["_embedded"]["releases"]
    assert release["_links"]["self"]["href"] == f"{ROOT}{world.path}/releases/1"
    assert {key: value for key, value in release.items() if key != "_links"} == {
        "_type": "release",
        "id": made.operation_id,
        "number": 1,
        "status": "live",
        "type": "deploy",
        "created_at": made.created_at,
        "user_email": "ann@example.com",
        "image": "nginx:1",
        "docker_repo": "docker.io/library/nginx",
        "docker_ref": DIGEST,
        "digest": DIGEST,
        "git_ref": A,
    }
    assert follow(world.admin, release, "self") == release
    assert world.admin.get(f"/releases/{release['id']}").json() == release
    assert follow(world.admin, release, "operation")["id"] == made.operation_id
    assert app["_embedded"]["current_image"]["exposed_ports"] == [80, 3000]


def test_newest_first_with_what_is_kept(world: ApiApp) -> None:
    for number in range(1, 8):
        world.put_live(number, commit=None)
    world.store.images.expire(world.app.id, 2)
    listed = world.admin.get(f"{world.path}/releases").json()
    releases = listed["_embedded"]["releases"]
    assert [(each["number"], each["status"]) for each in releases] == [
        (7, "live"),
        *[(number, "kept") for number in (6, 5, 4, 3)],
        *[(number, "expired") for number in (2, 1)],
    ]
    assert releases[0]["git_ref"] is None
    page = world.admin.get(f"{world.path}/releases?per_page=2&page=2").json()
    assert [each["number"] for each in page["_embedded"]["releases"]] == [5, 4]


def test_of_an_app_that_was_never_deployed(world: ApiApp) -> None:
    assert world.admin.get(f"{world.path}/releases").json()["total_count"] == 0
    operation = world.ask("configure", env={"A": "1"}).json()["id"]
    for path in (f"{world.path}/releases/1", f"/releases/{operation}", "/releases/99"):
        assert world.admin.get(path).json() == UNKNOWN
