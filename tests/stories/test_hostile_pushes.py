"""A push that git's own fsck would refuse is refused, and leaves nothing behind (invariant 2)."""

import hashlib
import os
import subprocess
import zlib
from pathlib import Path

import pytest
from conftest import App


def _store(app: App) -> Path:
    number = app.installation.app_id(app.name)
    return app.installation.data / "repositories" / f"{number}.git" / "objects"


def _objects(app: App) -> list[Path]:
    """Every pack and quarantine of the app's repository on the server."""
    store = _store(app)
    return sorted([*store.glob("pack/*.pack"), *store.glob("incoming-*")])


def _write_object(app: App, kind: str, content: bytes) -> str:
    """Store an object as it stands, however malformed; returns its id."""
    raw = f"{kind} {len(content)}\0".encode() + content
    name = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    path = app.repository.path / ".git" / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(raw))
    return name


def _entry(mode: str, name: str, target: str) -> bytes:
    return f"{mode} {name}\0".encode() + bytes.fromhex(target)


def _commit(app: App, tree: str, *parents: str) -> str:
    who = "A <a@example.com> 1700000000 +0000"
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    text = "\n".join([*lines, f"author {who}", f"committer {who}", "", "hostile", ""])
    return _write_object(app, "commit", text.encode())


def _push_raw(
    app: App, tip: str, ref: str, *, objects: list[str]
) -> subprocess.CompletedProcess[str]:
    """Push exactly these objects, with a hand-made pack, past every check of the client's."""
    pack = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q"],
        input="\n".join(objects).encode() + b"\n",
        cwd=app.repository.path,
        capture_output=True,
        check=True,
    ).stdout
    command = f"{'0' * 40} {tip} {ref}\0 report-status side-band-64k\n".encode()
    request = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
    ssh = app.owner.environment["GIT_SSH_COMMAND"].split()
    return subprocess.run(
        [
            *ssh,
            "-p",
            str(app.owner.ssh_port),
            "git@localhost",
            f"git-receive-pack '{app.name}.git'",
        ],
        input=request.decode("latin-1"),
        encoding="latin-1",
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", [".git", ".GIT", "..", ".", "git~1", "a/b"])
def test_a_tree_with_an_evil_name_is_refused(name: str, app: App) -> None:
    blob = _write_object(app, "blob", b"x\n")
    inner = _write_object(app, "tree", _entry("100644", "config", blob))
    tree = _write_object(app, "tree", _entry("40000", name, inner))
    tip = _commit(app, tree)

    answer = _push_raw(app, tip, "refs/heads/topic", objects=[blob, inner, tree, tip])

    assert "unpack ok" not in answer.stdout
    assert "ng refs/heads/topic" in answer.stdout
    assert app.repository.remote_refs() == {}
    assert _objects(app) == []


def test_a_history_with_a_hole_is_refused(app: App) -> None:
    blob = _write_object(app, "blob", b"web: exec serve\n")
    tree = _write_object(app, "tree", _entry("100644", "Procfile", blob))
    first = _commit(app, tree)
    second = _commit(app, tree, first)

    answer = _push_raw(app, second, "refs/heads/topic", objects=[blob, tree, second])

    assert "ng refs/heads/topic" in answer.stdout
    assert app.repository.remote_refs() == {}
    assert _objects(app) == []


def test_a_missing_blob_is_refused(app: App) -> None:
    blob = _write_object(app, "blob", b"web: exec serve\n")
    tree = _write_object(app, "tree", _entry("100644", "Procfile", blob))
    tip = _commit(app, tree)

    answer = _push_raw(app, tip, "refs/heads/topic", objects=[tree, tip])

    assert "ng refs/heads/topic" in answer.stdout
    assert app.repository.remote_refs() == {}


def test_a_tip_that_did_not_come_is_refused(app: App) -> None:
    blob = _write_object(app, "blob", b"x\n")
    answer = _push_raw(app, "1" * 40, "refs/heads/topic", objects=[blob])

    assert "ng refs/heads/topic missing object" in answer.stdout
    assert _objects(app) == []


def test_a_branch_that_is_no_commit_is_refused(app: App) -> None:
    blob = _write_object(app, "blob", b"x\n")
    answer = _push_raw(app, blob, "refs/heads/topic", objects=[blob])

    assert "ng refs/heads/topic a branch points at a commit, this is a blob" in answer.stdout


@pytest.mark.parametrize(
    "ref", ["HEAD", "refs/x", "refs/heads/a..b", "refs/heads/a.lock", "refs/heads/" + "1" * 40]
)
def test_a_funny_ref_is_refused(ref: str, app: App) -> None:
    app.repository.commit(Procfile="web: exec serve\n")
    head = app.repository.git("rev-parse", "HEAD").stdout.strip()
    listed = app.repository.git("rev-list", "--objects", "HEAD").stdout.splitlines()

    answer = _push_raw(app, head, ref, objects=[line.split()[0] for line in listed])

    assert f"ng {ref} " in answer.stdout
    assert app.repository.remote_refs() == {}


def test_a_name_below_another_ref_is_refused(app: App) -> None:
    app.repository.commit(Procfile="web: exec serve\n")
    assert app.repository.push("master:a").returncode == 0

    pushed = app.repository.push("master:a/b")

    assert pushed.returncode == 1
    assert "refs/heads/a" in pushed.stderr
    assert set(app.repository.remote_refs()) == {"refs/heads/a"}


def test_a_procfile_of_200_mb_is_refused_before_it_is_read(app: App) -> None:
    """Its pack is small; only its header may be looked at."""
    path = app.repository.path
    with (path / "Procfile").open("wb") as file:
        file.truncate(200 << 20)
    app.repository.git("add", "--all").check_returncode()
    app.repository.git("commit", "-q", "-m", "huge").check_returncode()

    pushed = app.repository.push("master:topic")

    assert pushed.returncode == 1
    assert "64 KiB" in pushed.stderr
    assert _objects(app) == []


def test_a_symbolic_link_is_no_procfile(app: App) -> None:
    (app.repository.path / "Procfile").symlink_to("elsewhere")
    app.repository.commit("a link")

    pushed = app.repository.push("master:topic")

    assert pushed.returncode == 1
    assert "symbolic link" in pushed.stderr


def test_what_a_dead_receiver_left_is_swept(app: App) -> None:
    """A quarantine a day old belongs to nobody."""
    app.repository.commit(Procfile="web: exec serve\n")
    assert app.repository.push("master:topic").returncode == 0
    store = _store(app)
    left = store / "incoming-dead"
    left.mkdir()
    os.utime(left, (0, 0))

    app.installation.kill("receiver")
    app.installation.wait_until_answering()

    assert not left.exists()
    export = app.repository.remote_refs()["refs/heads/topic"]
    fsck = app.owner.run("git", "fsck", "--strict", export, cwd=store.parent)
    assert fsck.returncode == 0, fsck.stderr
