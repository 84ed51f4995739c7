"""``git push aptible master`` deploys; a push anywhere else only stores (SPEC 2)."""

import pytest
from conftest import App

from testbed.images import Images

TWO_SERVICES = "web: exec serve\nclock: while true; do sleep 60; done\n"


def test_a_push_to_master_deploys_the_stored_image_with_the_pushed_files(live_app: App) -> None:
    commit = live_app.repository.commit(
        Procfile=TWO_SERVICES,
        _aptible_yml="before_release:\n  - echo migrating\n  - test -f /bin/busybox\n",
    )
    pushed = live_app.repository.push()

    assert pushed.returncode == 0, pushed.stderr
    lines = [line.strip() for line in pushed.stderr.splitlines()]
    assert lines[0] == "remote: INFO: Authorizing..."
    assert lines[1] == "remote: INFO: Initiating deploy..."
    assert lines[2] == f"remote: INFO: Deploying {commit[:8]}..."
    assert "remote: migrating" in lines
    assert "remote: INFO: Deploy succeeded." in lines
    assert live_app.repository.remote_refs() == {"refs/heads/master": commit}
    live_app.comes_to_serve(clock=1, web=1)
    assert live_app.get(service="web") == "web 1\n"
    assert f"APTIBLE_GIT_REF={commit}\n" in live_app.get("/cgi-bin/env", service="web")


def test_pushing_again_says_everything_is_up_to_date(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    assert live_app.repository.push().returncode == 0
    live_app.comes_to_serve(clock=1, web=1)
    before = live_app.installation.containers(live_app.name)

    again = live_app.repository.push()

    assert again.returncode == 0
    assert "Everything up-to-date" in again.stderr
    assert live_app.installation.containers(live_app.name) == before


def test_a_push_to_another_branch_deploys_nothing_and_says_how_to(live_app: App) -> None:
    commit = live_app.repository.commit(Procfile=TWO_SERVICES)
    pushed = live_app.repository.push("master:update-the-Procfile")

    assert pushed.returncode == 0, pushed.stderr
    assert "Nothing was deployed" in pushed.stderr
    deploy = f"aptible deploy --app {live_app.handle} --git-commitish update-the-Procfile"
    assert deploy in pushed.stderr
    assert live_app.repository.remote_refs() == {"refs/heads/update-the-Procfile": commit}
    assert live_app.serving() == {"cmd": 1}


@pytest.mark.parametrize("name", ["branch", "tag", "commit", "abbreviation"])
def test_a_stored_commit_deploys_together_with_a_new_image(
    name: str, live_app: App, images: Images
) -> None:
    commit = live_app.repository.commit(Procfile=TWO_SERVICES)
    live_app.repository.git("tag", "-a", "v1", "-m", "the first").check_returncode()
    assert live_app.repository.push("master:staged", "v1").returncode == 0
    commitish = {"branch": "staged", "tag": "v1", "commit": commit, "abbreviation": commit[:7]}

    finished = live_app.deploy(
        "--git-commitish", commitish[name], "--docker-image", images.web("2")
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    live_app.comes_to_serve(clock=1, web=1)
    assert live_app.get(service="web") == "web 2\n"


def test_an_unknown_commitish_is_an_error_and_no_operation(live_app: App) -> None:
    finished = live_app.deploy("--git-commitish", "never-pushed")

    assert finished.returncode == 1
    assert "never-pushed" in finished.stdout + finished.stderr
    assert live_app.serving() == {"cmd": 1}


def test_a_push_of_an_app_without_image_or_dockerfile_says_how_to_go_on(app: App) -> None:
    app.repository.commit(Procfile=TWO_SERVICES)
    pushed = app.repository.push()

    assert pushed.returncode == 1
    assert "[remote rejected] master -> master (nothing to deploy" in pushed.stderr
    assert f"aptible deploy --app {app.handle} --docker-image" in pushed.stderr
    assert app.repository.remote_refs() == {}


@pytest.mark.parametrize("branch", ["master", "topic"])
def test_a_broken_procfile_is_refused_with_its_lines_on_any_branch(
    branch: str, live_app: App
) -> None:
    live_app.repository.commit(
        Procfile="web: exec serve\nno colon here\nWEB: exec serve\n",
        _aptible_yml="before_release: {}\n",
    )
    pushed = live_app.repository.push(f"master:{branch}")

    assert pushed.returncode == 1
    assert f"[remote rejected] master -> {branch} (invalid Procfile" in pushed.stderr
    assert "Procfile:2:" in pushed.stderr
    assert "Procfile:3:" in pushed.stderr
    assert ".aptible.yml:1:" in pushed.stderr
    assert live_app.repository.remote_refs() == {}
    assert live_app.serving() == {"cmd": 1}


def test_an_unknown_key_is_a_warning(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES, _aptible_yml="before_releese: echo\n")
    pushed = live_app.repository.push()

    assert pushed.returncode == 0, pushed.stderr
    assert "WARN" in pushed.stderr
    assert "before_releese" in pushed.stderr


def test_a_failing_before_release_rejects_the_push_and_a_retry_tries_again(live_app: App) -> None:
    commit = live_app.repository.commit(
        Procfile=TWO_SERVICES,
        _aptible_yml="before_release:\n  - echo no luck today; exit 3\n  - echo never reached\n",
    )
    for _ in range(2):
        pushed = live_app.repository.push()

        assert pushed.returncode == 1
        assert "no luck today" in pushed.stderr
        assert "remote: never reached" not in pushed.stderr
        assert "! [remote rejected] master -> master (deploy failed" in pushed.stderr
        assert "exited 3" in pushed.stderr
        assert live_app.repository.remote_refs() == {}
        assert live_app.serving() == {"cmd": 1}
        assert live_app.get() == "web 1\n"
    assert commit


def test_a_service_that_left_the_procfile_is_stopped(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    assert live_app.repository.push().returncode == 0
    live_app.repository.commit(Procfile="web: exec serve\n")
    assert live_app.repository.push().returncode == 0

    live_app.comes_to_serve(web=1)


def test_detaching_ignores_git_until_the_next_push(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    assert live_app.repository.push().returncode == 0

    assert live_app.deploy("--git-detach").returncode == 0
    live_app.comes_to_serve(cmd=1)
    assert live_app.deploy().returncode == 0
    assert live_app.serving() == {"cmd": 1}

    live_app.repository.commit("again")
    assert live_app.repository.push().returncode == 0
    live_app.comes_to_serve(clock=1, web=1)


def test_a_clone_of_the_remote_has_the_history(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    commit = live_app.repository.commit("more", README="hello\n")
    assert live_app.repository.push().returncode == 0

    remote = live_app.owner.remote(live_app.name)
    cloned = live_app.owner.run("git", "clone", "-q", remote, f"clone-{live_app.handle}")
    assert cloned.returncode == 0, cloned.stderr

    clone = live_app.owner.home / f"clone-{live_app.handle}"
    assert live_app.owner.run("git", "rev-parse", "HEAD", cwd=clone).stdout.strip() == commit
    assert (clone / "README").read_text() == "hello\n"
    fsck = live_app.owner.run("git", "fsck", "--strict", cwd=clone)
    assert fsck.returncode == 0, fsck.stderr


def test_fetching_brings_what_somebody_else_pushed(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    assert live_app.repository.push("master:topic").returncode == 0
    other = live_app.owner.repository(live_app.name)
    assert other.git("fetch", "-q", "aptible", "topic").returncode == 0
    other.git("reset", "-q", "--hard", "FETCH_HEAD").check_returncode()
    commit = other.commit("by another", NOTES="x\n")
    assert other.push("master:topic").returncode == 0

    assert live_app.repository.git("fetch", "-q", "aptible", "topic").returncode == 0
    assert live_app.repository.git("rev-parse", "FETCH_HEAD").stdout.strip() == commit


def test_master_cannot_be_deleted_but_other_branches_can(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    assert live_app.repository.push("master", "master:topic").returncode == 0

    refused = live_app.repository.push(":master")
    assert refused.returncode == 1
    assert "cannot be deleted" in refused.stderr
    assert live_app.repository.push(":topic").returncode == 0
    assert set(live_app.repository.remote_refs()) == {"refs/heads/master"}
    unknown = live_app.deploy("--git-commitish", "topic")
    assert unknown.returncode == 1


def test_a_shallow_clone_is_told_to_unshallow(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES)
    live_app.repository.commit("second", A="1\n")
    live_app.repository.commit("third", A="2\n")
    source = live_app.repository.path
    live_app.owner.run(
        "git", "clone", "-q", "--depth", "1", f"file://{source}", f"shallow-{live_app.handle}"
    ).check_returncode()
    shallow = live_app.owner.home / f"shallow-{live_app.handle}"

    pushed = live_app.owner.run(
        "git", "push", live_app.owner.remote(live_app.name), "master:topic", cwd=shallow
    )

    assert pushed.returncode == 1
    assert "git fetch --unshallow" in pushed.stderr
    assert live_app.repository.remote_refs() == {}


def test_an_atomic_push_moves_all_or_nothing_with_the_deploys_outcome(live_app: App) -> None:
    live_app.repository.commit(Procfile=TWO_SERVICES, _aptible_yml="before_release: exit 1\n")
    failed = live_app.repository.push("--atomic", "master", "master:topic")
    assert failed.returncode == 1
    assert live_app.repository.remote_refs() == {}

    commit = live_app.repository.commit("mended", _aptible_yml="before_release: exit 0\n")
    passed = live_app.repository.push("--atomic", "master", "master:topic")
    assert passed.returncode == 0, passed.stderr
    assert live_app.repository.remote_refs() == {
        "refs/heads/master": commit,
        "refs/heads/topic": commit,
    }
