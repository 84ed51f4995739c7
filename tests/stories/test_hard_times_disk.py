"""A disk that is full under the repositories: pushes are told so, and leave nothing."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

import pytest
from conftest import App, admin_of

from testbed.engine import PrivateEngine
from testbed.installation import Installation
from testbed.person import Person
from testbed.registry import PrivateRegistry

DISK_BYTES = 8 << 20
PAGE = 4096  # a tmpfs gives room by the page
FULL = "the server's disk is almost full: tell its operator"

handles = count(1)


@pytest.fixture(scope="module")
def house(engine: PrivateEngine) -> Iterator[Installation]:
    """Its repositories have a small disk of their own, which may be filled to the last byte."""
    house = Installation(engine.url, settings={"ENCLAVE_FREE_DISK_BYTES": "0"})
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


@pytest.fixture(scope="module")
def dee(house: Installation) -> Person:
    return admin_of(house, "dee@example.com")


@pytest.fixture
def app(house: Installation, dee: Person, registry: PrivateRegistry) -> Iterator[App]:
    app = App.create(f"app-{next(handles)}", dee, registry, house)
    yield app
    _filling(house).unlink(missing_ok=True)


def _disk(house: Installation) -> Path:
    return house.data / "repositories"


def _filling(house: Installation) -> Path:
    return _disk(house) / "filling"


def _free(house: Installation) -> int:
    room = os.statvfs(_disk(house))
    return room.f_bavail * room.f_frsize


def _fill(house: Installation, *, but: int) -> None:
    """Fill the disk until ``but`` bytes are free."""
    filling = _filling(house)
    filling.unlink(missing_ok=True)
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free(house) - but or 1)
    assert _free(house) == but


def _leftovers(house: Installation) -> list[Path]:
    disk = _disk(house)
    patterns = ("*.new-*", "*.git/objects/incoming-*", "*.git/objects/pack/tmp_*")
    return [path for pattern in patterns for path in disk.glob(pattern)]


def _refused_for_room(app: App) -> None:
    refused = app.repository.push("HEAD:topic")
    assert refused.returncode != 0
    assert "[remote rejected]" in refused.stderr or "fatal: remote error" in refused.stderr
    assert FULL in refused.stderr
    assert _leftovers(app.installation) == []


def test_a_push_that_does_not_fit(app: App, house: Installation) -> None:
    small = app.repository.commit(file="1\n")
    assert app.repository.push("master:topic").returncode == 0
    free = _free(house)
    (app.repository.path / "large").write_bytes(os.urandom(DISK_BYTES))
    app.repository.commit()

    _refused_for_room(app)

    assert _free(house) == free
    assert app.repository.remote_refs() == {"refs/heads/topic": small}
    app.repository.git("reset", "--hard", small).check_returncode()
    app.repository.commit(file="2\n")
    assert app.repository.push("master:topic").returncode == 0


def test_a_first_push_when_nothing_fits(app: App, house: Installation) -> None:
    """Not even the repository."""
    commit = app.repository.commit(file="1\n")
    _fill(house, but=0)
    _refused_for_room(app)
    fetched = app.repository.git("fetch", "aptible")
    assert fetched.returncode == 128
    assert FULL in fetched.stderr

    _filling(house).unlink()
    assert app.repository.push("master:topic").returncode == 0
    assert app.repository.remote_refs() == {"refs/heads/topic": commit}


def test_whichever_page_is_the_one_too_many(app: App) -> None:
    """A page more from push to push, until one fits: the pack, its index, each may be cut off."""
    app.repository.commit(file="1\n")
    assert app.repository.push("master:topic").returncode == 0
    for number in range(100):
        (app.repository.path / f"file-{number}").write_bytes(os.urandom(100))
    commit = app.repository.commit()
    too_small = list(takewhile(lambda pages: not _fits(app, pages * PAGE), range(40)))
    _filling(app.installation).unlink()
    assert 3 < len(too_small) < 40
    assert app.repository.remote_refs() == {"refs/heads/topic": commit}


def _fits(app: App, room: int) -> bool:
    """Push with that much room; one that has too little is refused for that and nothing else."""
    _fill(app.installation, but=room)
    if app.repository.push("HEAD:topic").returncode == 0:
        return True
    _refused_for_room(app)
    return False
