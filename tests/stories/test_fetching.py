"""Whoever may push may clone and fetch (SPEC 2.12), over SSH and HTTP alike."""

from pathlib import Path

import pytest
from conftest import App

from testbed.person import Finished, Repository


@pytest.fixture(params=["ssh", "http"])
def url(request: pytest.FixtureRequest, app: App) -> str:
    remote = app.owner.http_remote if request.param == "http" else app.owner.remote
    return remote(app.name)


def _clone(app: App, url: str, *arguments: str) -> tuple[Repository, Finished]:
    path = app.owner.home / f"clone-of-{app.handle}"
    cloned = app.owner.run("git", "clone", *arguments, url, str(path))
    assert cloned.returncode == 0, cloned.stderr
    return Repository(app.owner, path), cloned


def _out(repository: Repository, *arguments: str) -> str:
    finished = repository.git(*arguments)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def _folder(app: App) -> Path:
    number = app.installation.app_id(app.name)
    return app.installation.data / "repositories" / f"{number}.git"


def test_an_empty_repository(app: App, url: str) -> None:
    clone, cloned = _clone(app, url)
    assert "cloned an empty repository" in cloned.stderr
    assert _out(clone, "ls-remote") == ""


def test_everything_and_what_comes_later(app: App, url: str) -> None:
    first = app.repository.commit(a="1")
    app.repository.git("tag", "-a", "v1", "-m", "one").check_returncode()
    app.repository.push("master:topic", "v1").check_returncode()

    clone, _ = _clone(app, url, "--branch", "topic")
    assert _out(clone, "rev-parse", "HEAD") == first
    assert _out(clone, "cat-file", "-t", "v1") == "tag"
    assert _out(clone, "describe") == "v1"

    second = app.repository.commit(a="2")
    app.repository.push("master:topic", "master:other").check_returncode()
    clone.git("fetch").check_returncode()
    assert _out(clone, "rev-parse", "origin/topic", "origin/other").split() == [second] * 2
    assert _out(clone, "fsck", "--strict") == ""
    assert list(_folder(app).glob("view-*")) == []


def test_a_branch_that_was_deleted_is_not_there(app: App, url: str) -> None:
    commit = app.repository.commit(a="1")
    app.repository.push("master:topic", "master:gone").check_returncode()
    app.repository.push(":gone").check_returncode()

    clone, _ = _clone(app, url)

    refs = _out(clone, "for-each-ref", "--format=%(objectname) %(refname)", "refs/remotes")
    assert refs == f"{commit} refs/remotes/origin/topic"


def test_the_deploy_branch_is_what_a_clone_checks_out(live_app: App) -> None:
    commit = live_app.repository.commit(Procfile="web: exec serve\n")
    live_app.repository.push("master", "master:a-first-name").check_returncode()

    clone, _ = _clone(live_app, live_app.owner.remote(live_app.name))

    assert _out(clone, "symbolic-ref", "HEAD") == "refs/heads/master"
    assert _out(clone, "rev-parse", "HEAD") == commit


def test_a_part_of_the_history(app: App, url: str) -> None:
    for n in range(5):
        app.repository.commit(a=str(n))
    app.repository.push("master:topic", "master:other").check_returncode()

    clone, _ = _clone(app, url, "--depth=2", "--single-branch", "--branch", "topic")
    assert _out(clone, "rev-list", "--count", "HEAD") == "2"
    assert _out(clone, "for-each-ref", "--format=%(refname)", "refs/remotes") == (
        "refs/remotes/origin/topic"
    )

    clone.git("fetch", "--unshallow").check_returncode()
    assert _out(clone, "rev-list", "--count", "HEAD") == "5"


def test_a_huge_blob_does_not_go_through_the_receivers_memory(app: App, url: str) -> None:
    with (app.repository.path / "zeros").open("wb") as file:
        file.truncate(300 << 20)
    app.repository.commit("huge")
    app.repository.push("master:topic").check_returncode()
    (receiver,) = app.installation.pids("receiver")
    Path(f"/proc/{receiver}/clear_refs").write_text("5")  # peak := now, proc(5)
    before = _peak(receiver)

    _clone(app, url, "--no-checkout")

    assert _peak(receiver) - before < 50 << 20


def _peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
