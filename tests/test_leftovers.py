"""What killed receivers left is swept; what living ones use is not (DESIGN 4, STYLE)."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from bare_repository import BareRepository

from receiver.leftovers import sweep
from receiver.owned_directory import locked, owned_directory, shared
from receiver.packs import move_in
from receiver.quarantine import Quarantine
from receiver.view import view


@pytest.fixture
def server(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "repositories" / "1.git")


def test_the_dead_s_go_at_once_and_the_living_s_stay(server: BareRepository) -> None:
    repositories = server.path.parent
    left = [
        server.path / "objects" / "incoming-x",
        server.path / "view-x",
        repositories / "2.git.new-x",
    ]
    for path in left:
        (path / "pack").mkdir(parents=True)
        (path / "pack" / "tmp_pack_x").write_bytes(b"x")
    with (
        Quarantine(server.path) as living,
        view(server.path, {}, "refs/heads/master") as shown,
        owned_directory(repositories, "3.git.new-") as half_made,
    ):
        assert sweep(repositories) == len(left)
        assert not any(path.exists() for path in left)
        assert living.path.exists()
        assert shown.repository.exists()
        assert half_made.exists()
    assert (server.path / "objects" / "pack").is_dir()
    assert sweep(repositories) == 0
    assert sweep(repositories / "none") == 0


def test_a_killed_owner_owns_nothing(server: BareRepository) -> None:
    """Its children may live on for a moment: they have not inherited the lock."""
    script = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "from receiver.owned_directory import owned_directory\n"
        "with owned_directory(Path(sys.argv[1]), 'incoming-'):\n"
        "    subprocess.Popen(['sleep', '20'])\n"
        "    print('made', flush=True); time.sleep(60)"
    )
    store = server.path / "objects"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        process_group=0,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"made\n"
        assert sweep(server.path.parent) == 0
        owner.kill()
        owner.wait(10)
        assert sweep(server.path.parent) == 1
        os.killpg(owner.pid, signal.SIGKILL)
    assert list(store.glob("incoming-*")) == []


@pytest.mark.parametrize("kind", [".pack", ".idx", ".rev"])
def test_half_a_pack_goes_when_it_is_old(server: BareRepository, kind: str) -> None:
    """A push that is just being moved in has a pack without its index for a moment."""
    folder = server.path / "objects" / "pack"
    half = folder / f"pack-1{kind}"
    whole = [folder / "pack-2.pack", folder / "pack-2.idx"]
    for file in (half, *whole):
        file.write_bytes(b"x")
    yesterday = time.time() - 25 * 3600
    for file in whole:
        os.utime(file, (yesterday, yesterday))
    assert sweep(server.path.parent) == 0
    os.utime(half, (yesterday, yesterday))
    with shared(folder):  # somebody moves a pack in
        assert sweep(server.path.parent) == 0
    assert sweep(server.path.parent) == 1
    assert sorted(folder.iterdir()) == sorted(whole)


def test_a_pack_is_not_moved_in_while_somebody_sweeps(server: BareRepository) -> None:
    store = server.path / "objects"
    new = server.path / "new"
    new.mkdir()
    for name in ("pack-1.pack", "pack-1.idx"):
        (new / name).write_bytes(b"x")
    mover = threading.Thread(target=lambda: move_in(new, store))
    with locked(store / "pack") as alone:
        assert alone
        mover.start()
        mover.join(0.2)
        assert mover.is_alive()
        assert len(list(new.iterdir())) == 2
    mover.join(10)
    assert len(list((store / "pack").iterdir())) == 2


def test_what_vanishes_meanwhile_does_no_harm(
    server: BareRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    glob = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda path, pattern: [*glob(path, pattern), path / "vanished"]
    )
    assert sweep(server.path.parent) == 0
