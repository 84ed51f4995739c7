"""What git clients send besides the plain push, and what they hear of it (gitprotocol-pack(5))."""

import re
import subprocess

import pytest
from conftest import App
from dulwich.protocol import pkt_line

from testbed.person import Finished

REFUSED = "[remote rejected]"


@pytest.fixture(params=["ssh", "http"])
def any_app(request: pytest.FixtureRequest, app: App) -> App:
    """An app whose remote is over SSH, and one whose remote is over HTTP."""
    if request.param == "http":
        url = app.owner.http_remote(app.name)
        app.repository.git("remote", "set-url", "aptible", url).check_returncode()
    return app


def _ok(finished: Finished) -> str:
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def _refused(finished: Finished, *words: str) -> None:
    assert finished.returncode != 0, finished.stderr
    for each in words:
        assert each in finished.stderr, finished.stderr


def test_force_and_force_with_lease(any_app: App) -> None:
    repository = any_app.repository
    first = repository.commit(a="1")
    second = repository.commit(a="2")
    _ok(repository.push("master:topic"))
    repository.git("reset", "-q", "--hard", first).check_returncode()
    other = repository.commit(a="3")

    _refused(repository.push("master:topic"), "non-fast-forward")
    _refused(
        repository.git("push", f"--force-with-lease=topic:{first}", "aptible", "master:topic"),
        "stale info",
    )
    assert repository.remote_refs()["refs/heads/topic"] == second
    _ok(repository.git("push", f"--force-with-lease=topic:{second}", "aptible", "master:topic"))
    assert repository.remote_refs()["refs/heads/topic"] == other
    _ok(repository.push("+" + second + ":refs/heads/topic"))
    assert repository.remote_refs()["refs/heads/topic"] == second


def test_deleting(any_app: App) -> None:
    repository = any_app.repository
    repository.commit(a="1")
    _ok(repository.push("master:topic", "master:other"))
    said = _ok(repository.push("--delete", "topic"))
    assert "Deleted branch topic" in said
    assert set(repository.remote_refs()) == {"refs/heads/other"}
    _refused(repository.push("--delete", "topic"), "remote ref does not exist")


def test_tags_light_and_annotated_of_commits_and_of_anything(any_app: App) -> None:
    repository = any_app.repository
    commit = repository.commit(a="1")
    repository.git("tag", "light").check_returncode()
    repository.git("tag", "-a", "heavy", "-m", "heavy").check_returncode()
    repository.git("tag", "file", "HEAD:a").check_returncode()
    repository.git("tag", "-a", "nested", "-m", "of a tag", "heavy").check_returncode()

    _ok(repository.push("--tags"))

    refs = repository.remote_refs()
    assert refs["refs/tags/light"] == refs["refs/tags/heavy^{}"] == commit
    assert refs["refs/tags/nested^{}"] == commit
    assert set(refs) >= {"refs/tags/file", "refs/tags/heavy", "refs/tags/nested"}
    repository.git("tag", "-f", "light", "HEAD:a").check_returncode()
    _refused(repository.push("light"), "already exists")
    _ok(repository.push("--force", "light"))


def test_2000_tags_in_one_push(any_app: App) -> None:
    repository = any_app.repository
    commit = repository.commit(a="1")
    lines = "".join(f"create refs/tags/v{n} {commit}\n" for n in range(2000))
    any_app.owner.run(
        "git", "update-ref", "--stdin", cwd=repository.path, stdin=lines
    ).check_returncode()

    said = _ok(repository.push("--tags"))

    assert len(re.findall(r"\[new tag\]", said)) == 2000
    assert len(repository.remote_refs()) == 2000
    deleted = repository.push("--delete", *(f"v{n}" for n in range(1990)))
    _ok(deleted)
    assert len(repository.remote_refs()) == 10


def test_history_that_is_there_already_and_nothing_new(any_app: App) -> None:
    repository = any_app.repository
    repository.commit(a="1")
    _ok(repository.push("master:topic"))
    assert "Everything up-to-date" in _ok(repository.push("master:topic"))
    _ok(repository.push("master:other"))  # an empty pack
    repository.commit(a="2")
    _ok(repository.push("master:topic"))
    _ok(repository.push("+master~1:topic"))  # back to what is stored
    assert len(set(repository.remote_refs().values())) == 1


def test_head_by_name_and_an_empty_repository(any_app: App) -> None:
    repository = any_app.repository
    _refused(repository.push("HEAD"), "src refspec HEAD does not match any")
    repository.git("checkout", "-q", "-b", "topic").check_returncode()
    commit = repository.commit(a="1")
    _ok(repository.push("HEAD"))
    assert repository.remote_refs() == {"refs/heads/topic": commit}
    _refused(repository.push("HEAD:refs/heads/HEAD"), REFUSED, "taken for a commit")


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_silences_progress_and_not_the_platform(any_app: App, *, quiet: bool) -> None:
    """--progress is what a terminal has; without one, git asks for quiet by itself."""
    for number in range(40):
        any_app.repository.commit(a="\n".join(map(str, range(500 + number))))
    option = "--quiet" if quiet else "--progress"
    said = _ok(any_app.repository.git("push", option, "aptible", "master:topic"))
    assert "Nothing was deployed" in said
    assert ("remote: Resolving deltas: 100%" in said) is not quiet


def test_push_options_are_taken_and_said_to_mean_nothing(any_app: App) -> None:
    any_app.repository.commit(a="1")
    said = _ok(any_app.repository.git("push", "-o", "ci.skip", "aptible", "master:topic"))
    assert "push option ci.skip is not known here and was ignored" in said


def test_atomic_is_all_or_none(any_app: App) -> None:
    repository = any_app.repository
    first = repository.commit(a="1")
    _ok(repository.push("master:one"))
    repository.commit(a="2")
    name = "refs/heads/" + "x" * 250
    refused = repository.git("push", "--atomic", "aptible", "master:one", f"master:{name}")
    _refused(refused, f"{REFUSED} master -> one (atomic push: ", "longer than 255 bytes")
    assert repository.remote_refs() == {"refs/heads/one": first}


def test_atomic_counts_old_values_that_are_stale(app: App) -> None:
    """The client compares them itself when it can: so this is said by hand."""
    commit = app.repository.commit(a="1")
    _ok(app.repository.push("master:one", "master:two"))
    capabilities = "\0 report-status atomic"
    commands = [
        f"{commit} {'0' * 40} refs/heads/one{capabilities}",
        f"{'1' * 40} {'0' * 40} refs/heads/two",
    ]
    body = b"".join(pkt_line(each.encode()) for each in commands) + b"0000"
    (app.owner.home / "body").write_bytes(body)

    answer = _curl(
        app,
        *("--data-binary", "@body", f"{app.owner.url}/{app.name}.git/git-receive-pack"),
        *("-H", "Content-Type: application/x-git-receive-pack-request"),
    ).stdout

    assert "ng refs/heads/one atomic push: refs/heads/two was refused" in answer
    assert "ng refs/heads/two stale info" in answer
    assert set(app.repository.remote_refs()) == {"refs/heads/one", "refs/heads/two"}


def test_a_signed_push_is_refused_by_the_client_itself(any_app: App) -> None:
    any_app.repository.commit(a="1")
    refused = any_app.repository.git("push", "--signed=true", "aptible", "master:topic")
    _refused(refused, "the receiving end does not support --signed push")


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_protocol_version_may_be_asked_for(any_app: App, version: str) -> None:
    """The answer is version 0, which every git takes."""
    repository = any_app.repository
    commit = repository.commit(a="1")
    asking = ("-c", f"protocol.version={version}")
    _ok(repository.git(*asking, "push", "aptible", "master:topic"))
    listed = repository.git(*asking, "ls-remote", "aptible")
    assert listed.stdout == f"{commit}\trefs/heads/topic\n"
    url = repository.git("remote", "get-url", "aptible").stdout.strip()
    path = any_app.owner.home / f"{any_app.handle}-v{version}"
    cloned = any_app.owner.run(
        "git", *asking, "clone", "-q", "--depth=1", "--branch=topic", url, str(path)
    )
    _ok(cloned)


def test_a_partial_clone_is_told_and_gets_everything(any_app: App) -> None:
    any_app.repository.commit(a="1")
    _ok(any_app.repository.push("master:topic"))
    url = any_app.repository.git("remote", "get-url", "aptible").stdout.strip()
    path = any_app.owner.home / f"{any_app.handle}-partial"
    cloned = any_app.owner.run(
        "git", "clone", "--filter=blob:none", "--no-checkout", url, str(path)
    )
    assert "filtering not recognized by server, ignoring" in _ok(cloned)
    missing = any_app.owner.run(
        "git", "rev-list", "--objects", "--all", "--missing=print", cwd=path
    )
    assert "?" not in missing.stdout


def test_the_server_names_each_conversation(app: App) -> None:
    """session-id, so that a line of our log can be found for what a user saw."""
    url = f"{app.owner.url}/{app.name}.git/info/refs?service=git-receive-pack"
    seen = {
        re.search(r"session-id=([0-9a-f]{12})", _curl(app, url).stdout)[1]  # type: ignore[index]
        for _ in range(2)
    }
    assert len(seen) == 2


def test_capabilities_are_those_that_are_kept(app: App) -> None:
    url = f"{app.owner.url}/{app.name}.git/info/refs?service=git-receive-pack"
    line = _curl(app, url).stdout.partition("\0")[2].partition("\n")[0]
    words = {word.partition("=")[0] for word in line.split()}
    assert words == {
        *("report-status", "report-status-v2", "side-band-64k", "delete-refs", "ofs-delta"),
        *("quiet", "atomic", "push-options", "object-format", "session-id", "agent"),
    }


def _curl(app: App, *arguments: str) -> subprocess.CompletedProcess[str]:
    return app.owner.run("curl", "-s", "-u", f"x:{app.owner.token()}", *arguments)
