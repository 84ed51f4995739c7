"""A store (Redis) that is full, or read-only: nothing new is taken in, what runs ends well."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from conftest import App, admin_of

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

LEASE_SECONDS = 3
BACK_SECONDS = 30
SLOW = 'before_release: test "$AGAIN" = "{again}" || {{ echo begun; sleep 4; }}\n'


@pytest.fixture(scope="module")
def house(engine: PrivateEngine) -> Iterator[Installation]:
    with Installation(
        engine.url, settings={"ENCLAVE_LEASE_SECONDS": f"{LEASE_SECONDS}"}
    ) as installation:
        yield installation


@pytest.fixture(scope="module")
def apps(house: Installation, images: Images, registry: PrivateRegistry) -> list[App]:
    """Two apps that are live."""
    sally = admin_of(house, "sally@example.com")
    apps = [App.create(handle, sally, registry, house) for handle in ("busy", "idle")]
    for app in apps:
        finished = app.deploy_image(images.web("1"))
        assert finished.returncode == 0, finished.stdout
    return apps


@contextmanager
def _full(store: redis.Redis) -> Iterator[None]:
    store.config_set("maxmemory", 1)
    try:
        yield
    finally:
        store.config_set("maxmemory", 0)


@contextmanager
def _read_only(store: redis.Redis) -> Iterator[None]:
    """A replica of nobody, as after a failover that went wrong."""
    store.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        store.execute_command("REPLICAOF", "NO", "ONE")


def test_a_full_store_takes_nothing_new_and_what_runs_ends(
    house: Installation, apps: list[App]
) -> None:
    busy, idle = apps
    push = _start_slow_push(busy, again="1")
    with house.redis() as store, _full(store), _unchanged(idle):
        _new_work_is_refused(idle, "store (Redis) is full and takes nothing new")
        said, _ = push.communicate(timeout=30)

        assert push.returncode == 0, said
        _runs_what_was_pushed(busy)
    _all_works_again(busy, idle, again="1")


def test_a_read_only_store_takes_nothing_new_and_what_runs_waits_for_it(
    house: Installation, apps: list[App]
) -> None:
    """For longer than a lease lasts, which nobody can prolong; the deploy comes to its writes."""
    busy, idle = apps
    push = _start_slow_push(busy, again="2")
    with house.redis() as store, _unchanged(idle):
        with _read_only(store):
            _new_work_is_refused(idle, "store (Redis) can only be read and takes nothing new")
            wait_until(lambda: not _commands(busy), seconds=20, what="the command did not end")
            wait_until(lambda: _lease_ended(store, house, busy), seconds=20, what="it was renewed")
        said, _ = push.communicate(timeout=30)

        assert push.returncode == 0, said
        assert "vanished" not in said
        _runs_what_was_pushed(busy)
    _all_works_again(busy, idle, again="2")


def test_a_housekeeper_waits_for_a_store_that_takes_no_word(house: Installation) -> None:
    """It does not end again and again, which would make its supervisor ever slower."""
    log = house.data / "log" / "housekeeper.log"
    with house.redis() as store:
        for mood in (_read_only, _full):
            said = len(log.read_text())
            with mood(store):
                house.kill("housekeeper")
                wait_until(
                    lambda said=said: "waiting for the store" in log.read_text()[said:],  # type: ignore[misc]
                    seconds=20,
                    what="it did not wait",
                )
                waiting = house.pids("housekeeper")
            wait_until(
                lambda waiting=waiting: waiting == _attending(store),  # type: ignore[misc]
                seconds=BACK_SECONDS,
                what="it did not go on",
            )
            assert house.pids("housekeeper") == waiting


def _attending(store: redis.Redis) -> list[int]:
    """The last process that told RQ that it listens to the housekeeper's queue."""
    workers = [store.hgetall(worker) for worker in store.smembers("rq:workers:repacks")]
    return [int(max(workers, key=lambda worker: worker["birth"])["pid"])]


def _start_slow_push(app: App, *, again: str) -> subprocess.Popen[str]:
    """Push a commit, and return while its before_release command runs."""
    slow = SLOW.format(again=again)
    app.repository.commit(Procfile="web: exec serve\n", _aptible_yml=slow)
    push = app.owner.start("git", "push", "aptible", "master", cwd=app.repository.path)
    assert push.stdout is not None
    said = []
    for line in push.stdout:
        said.append(line)
        if "remote: begun" in line:
            return push
    raise AssertionError("".join(said))
    return push


def _new_work_is_refused(app: App, words: str) -> None:
    app.repository.commit(Procfile="web: exec serve\n")
    for refspec in ("master", "master:topic"):
        refused = app.repository.push(refspec)
        assert refused.returncode == 1
        assert "[remote rejected]" in refused.stderr
        assert words in refused.stderr
    deploy = app.deploy()
    assert deploy.returncode == 1
    assert words in deploy.stderr


@contextmanager
def _unchanged(app: App) -> Iterator[None]:
    before = app.repository.remote_refs(), app.installation.operations(app.name)
    yield
    assert (app.repository.remote_refs(), app.installation.operations(app.name)) == before


def _runs_what_was_pushed(app: App) -> None:
    commit = app.repository.git("rev-parse", "HEAD").stdout.strip()
    assert app.repository.remote_refs()["refs/heads/master"] == commit
    app.comes_to_serve(web=1)
    wait_until(
        lambda: len(app.installation.containers(app.name, every=True)) == 1,
        seconds=20,
        what="what it replaced was not removed",
    )


def _commands(app: App) -> list[dict[str, str]]:
    """The containers of before_release commands."""
    return [each for each in app.installation.containers(app.name) if not each["service"]]


def _lease_ended(store: redis.Redis, house: Installation, app: App) -> bool:
    expires = store.hget(f"enclave:app:{house.app_id(app.name)}:lease", "expires")
    return time.time() * 1000 > float(str(expires))


def _all_works_again(busy: App, idle: App, *, again: str) -> None:
    began = time.monotonic()
    for finished in (idle.repository.push(), busy.deploy(f"AGAIN={again}")):
        assert finished.returncode == 0, finished.stdout + finished.stderr
    assert time.monotonic() - began < BACK_SECONDS
