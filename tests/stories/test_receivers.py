"""Several receivers on one machine and one data directory, and receivers that are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from conftest import ENVIRONMENT

from receiver.view import view
from testbed.engine import PrivateEngine
from testbed.installation import Installation
from testbed.person import Finished, Person, Repository
from testbed.processes import Child, free_port, wait_until

PUSHERS = 32
RECEIVERS = 3


@pytest.fixture(scope="module")
def side_by_side(engine: PrivateEngine) -> Iterator[Installation]:
    """Three receivers that share the ports and the repositories."""
    with Installation(engine.url, settings={"ENCLAVE_RECEIVERS": str(RECEIVERS)}) as installation:
        wait_until(lambda: _listening(installation) == RECEIVERS, seconds=30, what="not all listen")
        yield installation


@pytest.fixture(scope="module")
def dora(side_by_side: Installation) -> Person:
    dora = side_by_side.person("dora@example.com")
    side_by_side.enclave("environment", "create", ENVIRONMENT, "--admin", dora.email)
    dora.log_in()
    return dora


def _app(dora: Person, handle: str) -> str:
    dora.aptible("apps:create", handle, "--environment", ENVIRONMENT).check_returncode()
    return f"{ENVIRONMENT}/{handle}"


def _listening(installation: Installation) -> int:
    """How many sockets listen on the SSH port (proc(5): state 0A is LISTEN)."""
    wanted = f":{installation.ssh_port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in lines)


def _clones(dora: Person, app: str, remote: str) -> list[Repository]:
    """As many clones of one history as there are pushers, each with a commit of its own."""
    base = dora.repository(app, remote=remote)
    base.commit(Procfile="web: exec serve\n")
    base.push("master:shared").check_returncode()
    clones = []
    for number in range(PUSHERS):
        path = base.path.with_name(f"{base.path.name}-{number}")
        dora.run("git", "clone", "-q", str(base.path), str(path)).check_returncode()
        clone = Repository(dora, path)
        clone.git("remote", "add", "aptible", remote).check_returncode()
        clone.commit(f"change {number}", **{f"file{number}": "x\n"})
        clones.append(clone)
    return clones


def _serving(installation: Installation) -> dict[int, int]:
    """How many conversations each receiver has logged, by its log's number."""
    logs = (installation.data / "log").glob("receiver-*.log")
    return {int(log.stem.rpartition("-")[2]): log.read_text().count("push ") for log in logs}


@pytest.mark.parametrize("transport", ["ssh", "http"])
def test_of_32_racing_one_wins_whoever_serves_them(
    transport: str, dora: Person, side_by_side: Installation
) -> None:
    app = _app(dora, f"race-{transport}")
    remote = dora.remote(app) if transport == "ssh" else dora.http_remote(app)
    clones = _clones(dora, app, remote)

    with ThreadPoolExecutor(PUSHERS) as pool:
        results = list(pool.map(lambda each: each.push("master:shared"), clones))

    winners = [each for each, done in zip(clones, results, strict=True) if done.returncode == 0]
    assert len(winners) == 1, [done.stderr for done in results]
    head = winners[0].git("rev-parse", "HEAD").stdout.strip()
    assert clones[0].remote_refs() == {"refs/heads/shared": head}
    assert all(
        "stale info" in d.stderr or "fetch first" in d.stderr for d in results if d.returncode
    )
    _is_whole(side_by_side, app, clones[0])


def test_several_receivers_served_the_races(side_by_side: Installation) -> None:
    wait_until(  # supervisord writes the logs when it comes to it
        lambda: sum(1 for count in _serving(side_by_side).values() if count) >= 2,
        seconds=10,
        what="one receiver served them all",
    )


def test_32_to_32_branches_all_win(dora: Person, side_by_side: Installation) -> None:
    app = _app(dora, "branches")
    clones = _clones(dora, app, dora.remote(app))

    with ThreadPoolExecutor(PUSHERS) as pool:
        results = list(pool.map(lambda n: clones[n].push(f"master:branch-{n}"), range(PUSHERS)))

    assert [done.returncode for done in results] == [0] * PUSHERS
    refs = clones[0].remote_refs()
    for number, clone in enumerate(clones):
        head = clone.git("rev-parse", "HEAD").stdout.strip()
        assert refs[f"refs/heads/branch-{number}"] == head
    _is_whole(side_by_side, app, clones[0])


def test_killing_them_at_any_moment_leaves_what_was_told(
    dora: Person, side_by_side: Installation
) -> None:
    """Pushes go on while one receiver after the other is killed with -9, at random moments.

    Who was told ok has a ref; all objects are whole; what the dead left is swept.
    """
    dice = random.Random(7)
    app = _app(dora, "killed")
    repository = dora.repository(app)
    told: dict[str, str] = {}
    lost = 0
    for number in range(25):
        wait_until(lambda: _listening(side_by_side) > 0, seconds=30, what="nobody listens any more")
        noise = dice.randbytes(200_000).hex()
        commit = repository.commit(f"{number}", noise=noise)
        push = dora.start("git", "push", "aptible", f"master:b{number}", cwd=repository.path)
        time.sleep(dice.uniform(0.02, 0.25))
        for victim in side_by_side.pids("receiver")[: dice.randint(1, 2)]:
            os.kill(victim, signal.SIGKILL)
        push.communicate(timeout=60)
        if push.returncode == 0:
            told[f"refs/heads/b{number}"] = commit
        else:
            lost += 1
    wait_until(lambda: _listening(side_by_side) == RECEIVERS, seconds=60, what="not all are back")

    refs = repository.remote_refs()
    assert told.items() <= refs.items()
    assert lost > 0, "no kill hit a push: the moments are wrong"
    _is_whole(side_by_side, app, repository)
    folder = _folder(side_by_side, app)
    wait_until(
        lambda: not [*folder.glob("objects/incoming-*"), *folder.glob("view-*")],
        seconds=30,
        what="the dead's folders were not swept",
    )
    again = repository.push("master:again")
    assert again.returncode == 0, again.stderr


def test_one_with_ports_of_its_own_on_the_same_data(
    dora: Person, side_by_side: Installation, tmp_path: Path
) -> None:
    app = _app(dora, "elsewhere")
    repository = dora.repository(app)
    repository.commit(a="1")
    repository.push("master:topic").check_returncode()
    port = free_port()
    ports = {"ENCLAVE_SSH_PORT": str(free_port()), "ENCLAVE_HTTP_PORT": str(port)}
    other = Child(
        [sys.executable, "-m", "admin", "receiver"],
        log=tmp_path / "receiver.log",
        environment={**side_by_side.environment, **ports},
    )
    try:
        other.wait_ready(lambda: _answers(port), seconds=30)
        commit = repository.commit(a="2")
        remote = dora.http_remote(app).replace(str(side_by_side.http_port), str(port))
        pushed = repository.git("push", remote, "master:topic")
        assert pushed.returncode == 0, pushed.stderr
        assert repository.remote_refs() == {"refs/heads/topic": commit}
    finally:
        other.stop()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _folder(installation: Installation, app: str) -> Path:
    return installation.data / "repositories" / f"{installation.app_id(app)}.git"


def _is_whole(installation: Installation, app: str, repository: Repository) -> None:
    """Have git look through everything, with the refs exported."""
    refs = {name: commit for name, commit in repository.remote_refs().items() if "^{}" not in name}
    with view(_folder(installation, app), refs, "refs/heads/master") as objects:
        checked: Finished = subprocess.run(
            ["git", "fsck", "--strict", "--full", "--no-dangling"],
            env=objects.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_many_pushes_are_repacked_in_the_background(
    dora: Person, side_by_side: Installation
) -> None:
    app = _app(dora, "many")
    repository = dora.repository(app)
    for number in range(30):
        repository.commit(f"{number}", a=f"{number}\n")
        pushed = repository.push("master:topic", f"master:branch-{number}")
        assert pushed.returncode == 0, pushed.stderr
    clones = _clones(dora, app, dora.remote(app))[:8]
    with ThreadPoolExecutor(8) as pool:  # beside each other, and beside the repacking
        results = list(pool.map(lambda n: clones[n].push(f"master:side-{n}"), range(8)))
    assert [done.returncode for done in results] == [0] * 8

    packs = _folder(side_by_side, app) / "objects" / "pack"
    wait_until(
        lambda: len(list(packs.glob("*.pack"))) < 20, seconds=30, what="nothing was repacked"
    )
    wait_until(
        lambda: not list(_folder(side_by_side, app).glob("objects/repack-*")),
        seconds=30,
        what="the repacking did not end",
    )
    _is_whole(side_by_side, app, repository)
    cloned = dora.run("git", "clone", "-q", "-b", "topic", dora.remote(app), "clone-of-many")
    assert cloned.returncode == 0, cloned.stderr
