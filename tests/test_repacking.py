"""Many packs become few, nothing is dropped, and nobody who pushes or reads meanwhile notices."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from bare_repository import BareRepository
from hypothesis import given
from hypothesis import strategies as st
from taking_in import packed, take_in

from receiver import repacking
from receiver.owned_directory import locked
from receiver.packs import holds_all, object_count, packs
from receiver.quarantine import Quarantine
from receiver.repacking import RepackFailed, repack, roll_up
from receiver.view import view
from testbed.hostile import raw_objects
from testbed.hostile.packs import pack

TOPIC = "refs/heads/topic"


@pytest.fixture
def client(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "client.git")


@pytest.fixture
def server(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "repositories" / "1.git")


def push(client: BareRepository, server: BareRepository, *parents: str, **files: bytes) -> str:
    """Push one commit, thin as git does it; return its id."""
    commit = client.commit(*parents, files=files)
    pack = packed(client, commit, *(f"^{parent}" for parent in parents), thin=bool(parents))
    take_in(server, pack, judge=Quarantine.keep)
    return commit


def history(client: BareRepository, server: BareRepository, *, commits: int) -> list[str]:
    """Push commit by commit, each its own pack."""
    tips = [push(client, server, a=b"0")]
    for number in range(1, commits):
        tips.append(push(client, server, tips[-1], a=b"%d" % number * 50))
    return tips


def whole(server: BareRepository, *tips: str) -> None:
    """Have git look through all that the tips reach."""
    refs = {f"refs/heads/{number}": tip for number, tip in enumerate(tips)}
    with view(server.path, refs, TOPIC) as objects:
        checked = subprocess.run(
            ["git", "fsck", "--strict", "--full", "--no-dangling"],
            env=objects.environment(),
            capture_output=True,
            check=False,
            timeout=60,
        )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def store(server: BareRepository) -> Path:
    return server.path / "objects"


@given(st.dictionaries(st.integers(0, 30).map(lambda n: Path(str(n))), st.integers(1, 10_000)))
def test_what_is_left_is_a_progression(counts: dict[Path, int]) -> None:
    chosen = roll_up(counts)
    assert len(chosen) != 1
    left = sorted(counts[pack] for pack in counts if pack not in chosen)
    sizes = [sum(counts[pack] for pack in chosen), *left] if chosen else left
    assert all(larger >= 2 * smaller for smaller, larger in pairwise(sizes))
    assert max((counts[pack] for pack in chosen), default=0) <= min(left, default=10_000)


class TestRepacking:
    def test_many_packs_become_one_with_a_bitmap(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        tips = history(client, server, commits=12)
        assert len(packs(store(server))) == 12

        assert repack(server.path, {TOPIC: tips[-1]}) == 12

        (one,) = packs(store(server))
        assert one.with_suffix(".bitmap").exists()
        assert object_count(one) == 12 * 3
        whole(server, tips[-1])
        assert sorted(path.name for path in store(server).iterdir()) == ["info", "pack"]
        assert list(server.path.glob("view-*")) == []

    def test_a_large_old_pack_is_left_alone(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        base = push(client, server, **{f"file-{n}": b"%d" % n for n in range(100)})
        (large,) = packs(store(server))
        tips = [push(client, server, base, a=b"%d" % n) for n in range(5)]

        assert repack(server.path, {TOPIC: base}) == 5

        assert large in packs(store(server))
        assert len(packs(store(server))) == 2
        whole(server, *tips)

    def test_what_no_ref_reaches_stays(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        """A waiting deploy's commit, and one that a kept release names, are not in the refs."""
        tips = [push(client, server, a=b"%d" % n) for n in range(6)]
        assert repack(server.path, {}) == 6
        assert len(packs(store(server))) == 1
        whole(server, *tips)

    def test_nothing_to_do(self, client: BareRepository, server: BareRepository) -> None:
        assert repack(server.path, {}) == 0
        tip = push(client, server, a=b"1")
        assert repack(server.path, {TOPIC: tip}) == 0

    def test_one_at_a_time(self, client: BareRepository, server: BareRepository) -> None:
        tips = history(client, server, commits=3)
        with locked(store(server)) as ours:
            assert ours
            assert repack(server.path, {TOPIC: tips[-1]}) == 0
        assert repack(server.path, {TOPIC: tips[-1]}) == 3

    def test_a_disk_without_room_for_both_the_old_and_the_new(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        tips = history(client, server, commits=3)
        with pytest.raises(RepackFailed, match="bytes left"):
            repack(server.path, {TOPIC: tips[-1]}, spare=1 << 60)
        assert len(packs(store(server))) == 3

    def test_a_tip_that_is_nowhere_removes_nothing(
        self, client: BareRepository, server: BareRepository
    ) -> None:
        tips = history(client, server, commits=3)
        with pytest.raises(RepackFailed):
            repack(server.path, {TOPIC: "1" * 40})
        assert len(packs(store(server))) == 3
        whole(server, tips[-1])

    def test_a_new_pack_that_lacks_something_removes_nothing(
        self,
        client: BareRepository,
        server: BareRepository,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tips = history(client, server, commits=4)
        pack = repacking._pack

        def forgetful(objects: object, folder: Path, chosen: list[Path], **_rest: bool) -> None:
            pack(objects, folder, chosen[1:], everything=False)  # type: ignore[arg-type]

        monkeypatch.setattr(repacking, "_pack", forgetful)
        with pytest.raises(RepackFailed, match="lacks objects of pack-"):
            repack(server.path, {TOPIC: tips[-1]})
        assert len(packs(store(server))) == 4
        whole(server, tips[-1])


def test_an_index_holds_another_or_does_not(client: BareRepository, server: BareRepository) -> None:
    history(client, server, commits=3)
    found = packs(store(server))
    for one in found:
        assert holds_all(one, one)
        for other in found:
            assert holds_all(one, other) is (one == other)


def test_200_pushes_during_repacking(client: BareRepository, server: BareRepository) -> None:
    """Each thin, on the newest; somebody reads all the while. Nothing is refused, or lost."""
    tips = history(client, server, commits=3)
    done = threading.Event()
    repacked: list[int] = []
    read: list[int] = []

    def repacks() -> None:
        while not done.is_set():
            repacked.append(repack(server.path, {TOPIC: tips[-1]}))

    def reads() -> None:
        while not done.is_set():
            with view(server.path, {TOPIC: tips[-1]}, TOPIC) as objects:
                listed = subprocess.run(
                    ["git", "pack-objects", "--all", "--stdout", "-q"],
                    env=objects.environment(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=60,
                )
            assert listed.returncode == 0, listed.stderr
            read.append(len(listed.stdout))

    with ThreadPoolExecutor(2) as pool:
        background = [pool.submit(repacks), pool.submit(reads)]
        try:
            for number in range(200):
                tips.append(push(client, server, tips[-1], a=b"%d" % number * 20))
        finally:
            done.set()
        for each in background:
            each.result(60)

    assert sum(1 for count in repacked if count) >= 10, repacked
    assert len(read) >= 10
    assert len(packs(store(server))) < 30
    whole(server, tips[-1])


def test_kill_9_in_mid_repacking_loses_nothing(
    client: BareRepository, server: BareRepository
) -> None:
    """At a random moment, again and again, until one gets through."""
    tips = history(client, server, commits=8)
    script = (
        "import sys; from pathlib import Path; from receiver.repacking import repack\n"
        "print(flush=True); repack(Path(sys.argv[1]), {'refs/heads/topic': sys.argv[2]})"
    )
    moments = [0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03, 0.04, 0.06, None]
    for moment in moments:
        with subprocess.Popen(
            [sys.executable, "-c", script, str(server.path), tips[-1]],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            process_group=0,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(moment if moment is not None else 60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
        whole(server, tips[-1])
    assert len(packs(store(server))) < 8


def test_folders_deeper_than_git_s_usual_stack(
    client: BareRepository, server: BareRepository, tmp_path: Path
) -> None:
    """They can come bit by bit, each push too small for the check of depth (hooks/depth.py)."""
    file = raw_objects.blob(b"x")
    folders = [raw_objects.tree((raw_objects.FILE, b"f", file.id))]
    for _ in range(20_000):
        folders.append(raw_objects.tree((raw_objects.FOLDER, b"d", folders[-1].id)))
    commit = raw_objects.commit(folders[-1].id)
    take_in(server, pack(file, *folders), judge=Quarantine.keep)
    take_in(server, pack(commit), judge=Quarantine.keep)
    for number in range(2):
        push(client, server, a=b"%d" % number)

    assert repack(server.path, {TOPIC: commit.id}) >= 2
    # All that a clone walks, too: with git's usual stack it would die.
    with view(server.path, {TOPIC: commit.id}, TOPIC) as objects:
        repacking._pack(objects, tmp_path, packs(store(server)), everything=True)
