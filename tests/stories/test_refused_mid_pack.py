"""A push that is refused while its pack is still coming ends soon, with the reason."""

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from conftest import ENVIRONMENT, App

from testbed.engine import PrivateEngine
from testbed.installation import Installation
from testbed.person import Person, Repository

_SECONDS = 25.0
_PACK = 60 << 20


@pytest.fixture(scope="module")
def strict(engine: PrivateEngine) -> Iterator[Installation]:
    """An installation that takes packs of a megabyte and three refs at a time."""
    settings = {"ENCLAVE_PUSH_BYTES": str(1 << 20), "ENCLAVE_PUSH_COMMANDS": "3"}
    with Installation(engine.url, settings=settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def bob(strict: Installation) -> Person:
    bob = strict.person("bob@example.com")
    strict.enclave("environment", "create", ENVIRONMENT, "--admin", bob.email)
    bob.log_in()
    bob.aptible("apps:create", "small", "--environment", ENVIRONMENT).check_returncode()
    return bob


@pytest.fixture(params=["ssh", "http"])
def repository(request: pytest.FixtureRequest, bob: Person) -> Repository:
    app = f"{ENVIRONMENT}/small"
    return bob.repository(app, remote=bob.http_remote(app) if request.param == "http" else None)


def _refused(repository: Repository, *refspecs: str) -> str:
    """Push, and return what the pusher saw when it ended in time, refused."""
    began = time.monotonic()
    pushed = repository.push(*refspecs)
    assert time.monotonic() - began < _SECONDS
    assert pushed.returncode != 0
    assert "Everything up-to-date" not in pushed.stderr
    return pushed.stderr


def _big_file(repository: Repository) -> None:
    (repository.path / "noise").write_bytes(os.urandom(_PACK))


def _git(repository: Repository, *arguments: str, stdin: bytes = b"") -> str:
    return (
        subprocess.run(
            ["git", *arguments],
            cwd=repository.path,
            env=repository.owner.environment,
            input=stdin,
            capture_output=True,
            check=True,
            timeout=60,
        )
        .stdout.decode()
        .strip()
    )


@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_what_fsck_refuses_with_much_behind_it(transport: str, app: App) -> None:
    repository = app.repository
    if transport == "http":
        url = app.owner.http_remote(app.name)
        repository.git("remote", "set-url", "aptible", url).check_returncode()
    _big_file(repository)
    blob = _git(repository, "hash-object", "-w", "noise")
    small = _git(repository, "hash-object", "-w", "--stdin", stdin=b"x\n")
    entries = b"100644 .git\0" + bytes.fromhex(small) + b"100644 noise\0" + bytes.fromhex(blob)
    tree = _git(
        *(repository, "hash-object", "-t", "tree", "-w", "--literally", "--stdin"), stdin=entries
    )
    commit = _git(repository, "commit-tree", "-m", "evil", tree)

    said = _refused(repository, f"{commit}:refs/heads/topic")

    assert "fsck error in object" in said, said
    assert "hasDotgit: contains '.git'" in said, said
    assert repository.remote_refs() == {}


def test_a_pack_over_the_limit(repository: Repository) -> None:
    _big_file(repository)
    repository.commit()

    said = _refused(repository, "master:topic")

    assert "exceeds maximum allowed size" in said
    assert repository.remote_refs() == {}


def test_too_many_refs(repository: Repository) -> None:
    _big_file(repository)
    repository.commit()

    said = _refused(repository, *(f"master:refs/heads/topic-{n}" for n in range(9)))

    assert "more than 3 refs in one push: push them in parts" in said
    assert repository.remote_refs() == {}


def test_far_too_many_refs(repository: Repository) -> None:
    """The client sends all its commands before it listens."""
    commit = repository.commit(a="b")
    lines = "".join(f"create refs/heads/topic-{n} {commit}\n" for n in range(2000))
    _git(repository, "update-ref", "--stdin", stdin=lines.encode())

    assert "push them in parts" in _refused(repository, "--all")
