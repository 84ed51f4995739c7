"""Files that are whole and private, or are not."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enclave.files import create_private, sync


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "key"
    umask = os.umask(0)
    try:
        assert create_private(path, b"secret\n")
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"secret\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path.parent) == ["key"]


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_what_is_there_stays(tmp_path: Path, there: str) -> None:
    path = tmp_path / "key"
    match there:
        case "file":
            path.write_bytes(b"first")
        case "link":
            path.symlink_to(tmp_path / "nowhere")
        case "folder":
            path.mkdir()
    assert not create_private(path, b"second")
    assert names(tmp_path) == ["key"]
    assert there != "file" or path.read_bytes() == b"first"


def test_of_many_that_try_at_once_one_wins_and_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    barrier = threading.Barrier(16)

    def create(number: int) -> bool:
        barrier.wait()
        return create_private(path, bytes([number]) * 100_000)

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))
    assert won.count(True) == 1
    assert path.read_bytes() == bytes([won.index(True)]) * 100_000
    assert names(tmp_path) == ["key"]


def test_one_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, f"no space left for {descriptor}")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        create_private(tmp_path / "key", b"secret")
    assert names(tmp_path) == []


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    named: list[bool] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        named.append(path.exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    assert create_private(path, b"secret")
    assert named == [False, True]  # the content, then the folder's entry


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "file")
