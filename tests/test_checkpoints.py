"""Places where the fault harness stops a process; nobody else ever waits there."""

import threading
from pathlib import Path

import pytest

from enclave.checkpoints import reached
from testbed.faults.checkpoints import Checkpoints
from testbed.processes import wait_until


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoints:
    monkeypatch.setenv("ENCLAVE_CHECKPOINTS", str(tmp_path))
    return Checkpoints(tmp_path)


def test_without_a_harness_nothing_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENCLAVE_CHECKPOINTS", raising=False)
    Checkpoints(tmp_path).arm("commit")
    reached("commit")
    assert (tmp_path / "commit.armed").exists()


def test_the_first_who_comes_to_an_armed_place_waits_there(checkpoints: Checkpoints) -> None:
    checkpoints.arm("commit")
    reached("health")
    first = threading.Thread(target=reached, args=("commit",), daemon=True)
    first.start()
    checkpoints.wait_held("commit")
    reached("commit")  # the second goes on
    assert first.is_alive()
    checkpoints.let_go()
    wait_until(lambda: not first.is_alive(), seconds=5, what="it still waits")
