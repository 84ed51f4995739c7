"""A command that needs room on its disk is not started before there is some."""

import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from admin import room

Usage = namedtuple("Usage", "free")


def test_it_waits_and_says_once_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = iter([0, 1, room.ROOM_BYTES - 1, room.ROOM_BYTES])
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(next(found)))
    room.wait_for_room(tmp_path, pause=0)
    assert next(found, None) is None
    said = capsys.readouterr().out
    assert said == f"The disk of {tmp_path} is full: make room. Waiting for it.\n"


def test_with_room_it_becomes_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "admin.room", str(tmp_path), "sh", "-c", "echo $$ $0", "a b"]
    root = Path(room.__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=20)
    assert said == f"{process.pid} a b\n"
