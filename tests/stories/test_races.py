"""Many at once: one wins, in order, and everyone is told the truth (invariants 1 and 4)."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from conftest import App

from testbed.person import Repository

PUSHERS = 32


def _pusher(app: App, base: Repository, number: int) -> Repository:
    """A clone of ``base`` with one commit of its own."""
    path = app.owner.home / f"{app.handle}-pusher-{number}"
    app.owner.run("git", "clone", "-q", str(base.path), str(path)).check_returncode()
    repository = Repository(app.owner, path)
    repository.git("remote", "add", "aptible", app.owner.remote(app.name)).check_returncode()
    repository.commit(f"change {number}", **{f"file{number}": f"{number}\n"})
    return repository


def test_of_32_clients_racing_on_one_branch_exactly_one_is_told_ok(live_app: App) -> None:
    live_app.repository.commit(Procfile="web: exec serve\n")
    assert live_app.repository.push("master:shared").returncode == 0
    pushers = [_pusher(live_app, live_app.repository, number) for number in range(PUSHERS)]

    with ThreadPoolExecutor(PUSHERS) as pool:
        results = list(pool.map(lambda each: each.push("master:shared"), pushers))

    winners = [
        pusher for pusher, result in zip(pushers, results, strict=True) if result.returncode == 0
    ]
    assert len(winners) == 1
    stored = live_app.repository.remote_refs()["refs/heads/shared"]
    assert stored == winners[0].git("rev-parse", "HEAD").stdout.strip()
    for result in results:
        if result.returncode != 0:
            assert "stale info" in result.stderr or "fetch first" in result.stderr, result.stderr


def test_of_racing_deploys_one_runs_and_the_others_are_told_which(live_app: App) -> None:
    live_app.repository.commit(
        Procfile="web: exec serve\n", _aptible_yml="before_release: sleep 3\n"
    )
    pushers = [_pusher(live_app, live_app.repository, number) for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda each: each.push(), pushers))

    winners = [
        pusher for pusher, result in zip(pushers, results, strict=True) if result.returncode == 0
    ]
    assert len(winners) == 1, [result.stderr for result in results]
    head = winners[0].git("rev-parse", "HEAD").stdout.strip()
    assert live_app.repository.remote_refs() == {"refs/heads/master": head}
    refused = [result.stderr for result in results if result.returncode != 0]
    assert all("under way" in said and "operation:cancel" in said for said in refused), refused


def test_a_descendant_queues_behind_the_deploy_under_way(live_app: App) -> None:
    live_app.repository.commit(
        Procfile="web: exec serve\n", _aptible_yml="before_release: sleep 4\n"
    )
    first = live_app.owner.start("git", "push", "aptible", "master", cwd=live_app.repository.path)
    _wait_for(first, "before_release 1 of 1")
    commit = live_app.repository.commit("next", _aptible_yml="before_release: echo second\n")

    second = live_app.repository.push()

    assert second.returncode == 0, second.stderr
    assert "queued behind operation" in second.stderr
    assert live_app.owner.email in second.stderr
    assert first.wait(60) == 0
    assert live_app.repository.remote_refs() == {"refs/heads/master": commit}


def test_operations_of_one_app_never_overlap_and_run_in_order(live_app: App) -> None:
    """Each deploy writes its start and end to its log; they must not interleave."""
    live_app.repository.commit(
        Procfile="web: exec serve\n",
        _aptible_yml=f"before_release: '{_stamp('start')}; sleep 1; {_stamp('end')}'\n",
    )
    assert live_app.repository.push().returncode == 0

    with ThreadPoolExecutor(4) as pool:
        deploys = list(pool.map(lambda number: live_app.deploy(f"N={number}"), range(4)))

    spans = {}
    for deploy in deploys:
        said = deploy.stdout + deploy.stderr
        assert deploy.returncode == 0, said
        number = int(said.partition("operation #")[2].partition(")")[0])
        spans[number] = _span(said)
    queued = [int(each) for each in live_app.installation.operations(live_app.name)][-4:]
    assert sorted(spans) == sorted(queued)
    for (_, end), (start, _) in pairwise(sorted(spans.values())):
        assert end < start
    live_app.comes_to_serve(web=1)


def test_different_apps_deploy_side_by_side(new_app: Callable[[], App], live_app: App) -> None:
    other = new_app()
    assert other.deploy_image(f"{other.registry.address}/web:1").returncode == 0
    for each in (live_app, other):
        each.repository.commit(
            Procfile="web: exec serve\n",
            _aptible_yml=f"before_release: '{_stamp('start')}; sleep 3; {_stamp('end')}'\n",
        )

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda each: each.repository.push(), (live_app, other)))

    assert [result.returncode for result in results] == [0, 0]
    (first_start, first_end), (second_start, second_end) = (
        _span(result.stderr) for result in results
    )
    assert max(first_start, second_start) < min(first_end, second_end)  # both at one time


def _stamp(word: str) -> str:
    """A shell command that prints ``WORD-SECONDS``, by the machine's one clock."""
    return f"read now rest </proc/uptime; echo {word}-$now"


def _span(log: str) -> list[float]:
    """When a deploy's before_release began and ended, by its own log."""
    stamps = [word for word in log.split() if word.startswith(("start-", "end-"))]
    return [float(stamp.partition("-")[2]) for stamp in stamps if "$" not in stamp]


def _wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")
