"""A disk that is full under Redis itself: what was told holds, and the platform comes back."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import App, admin_of

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

DISK_BYTES = 16 << 20
OUTAGE_SECONDS = 20
BACK_SECONDS = 30
DEPLOY_SECONDS = 10
SLOW = "before_release: echo begun; sleep 4\n"


@pytest.fixture(scope="module")
def house(engine: PrivateEngine) -> Iterator[Installation]:
    """Its Redis has a small disk of its own."""
    house = Installation(engine.url)
    disk = _disk(house)
    disk.mkdir(parents=True)
    tmpfs = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    subprocess.run(tmpfs, check=True)
    try:
        with house:
            yield house
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        shutil.rmtree(house.directory)


@pytest.fixture
def app(house: Installation, images: Images, registry: PrivateRegistry) -> App:
    """An app that is live, from its repository."""
    app = App.create("app", admin_of(house, "rob@example.com"), registry, house)
    deployed = app.deploy_image(images.web("1"))
    assert deployed.returncode == 0, deployed.stdout
    return app


def test_what_was_told_holds_and_with_room_again_all_works(app: App, house: Installation) -> None:
    """A Redis that cannot write its file ends; what it did not write, nobody was told."""
    commit = app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=SLOW)
    deploy = _start_slow_push(app)
    told: dict[str, bool] = {}
    with _full(house):
        ends = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < ends:
            branch = f"refs/heads/branch-{len(told)}"
            told[branch] = app.repository.push(f"HEAD:{branch}").returncode == 0
        assert list(told.values())[-3:] == [False] * 3
        waits = (house.data / "log" / "redis.log").read_text()
        assert waits.count("make room") == 1  # it is not started again and again
    began = time.monotonic()

    wait_until(house.answers, seconds=BACK_SECONDS, what="the platform did not come back")
    deploy.communicate(timeout=BACK_SECONDS)
    wait_until(lambda: _ended(app), seconds=BACK_SECONDS, what="the deploy did not end")

    held = house.refs(app.name)
    assert {branch for branch, ok in told.items() if ok} <= held.keys()
    assert set(held.values()) <= {commit}
    assert (deploy.returncode == 0) <= ("refs/heads/master" in held)
    for branch in ("master", *told):  # pushing again tells, and does what was not done
        again = app.repository.push(f"HEAD:{branch}")
        assert again.returncode == 0, again.stderr
    assert time.monotonic() - began < BACK_SECONDS + DEPLOY_SECONDS
    assert app.repository.remote_refs() == dict.fromkeys(["refs/heads/master", *told], commit)
    app.comes_to_serve(web=1)
    assert app.get() == "web 1\n"


def _start_slow_push(app: App) -> subprocess.Popen[str]:
    """Push what is committed, and return while its before_release command runs."""
    push = app.owner.start("git", "push", "aptible", "master", cwd=app.repository.path)
    assert push.stdout is not None
    assert any("remote: begun" in line for line in push.stdout)
    return push


def _ended(app: App) -> bool:
    *_, newest = app.installation.operations(app.name)
    with app.installation.redis() as store:
        return store.hget(f"enclave:operation:{newest}", "status") in {"succeeded", "failed"}


@contextmanager
def _full(house: Installation) -> Iterator[None]:
    """Leave not a page within the block."""
    filling = _disk(house) / "filling"
    with filling.open("wb") as file:
        room = os.statvfs(_disk(house))
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    try:
        yield
    finally:
        filling.unlink()


def _disk(house: Installation) -> Path:
    return house.data / "redis"
