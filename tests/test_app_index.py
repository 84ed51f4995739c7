"""Lists of apps by page, and handles that move (``enclave/store/app_index.py``)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enclave.app import AppSecrets, AppState
from enclave.changes import Changes
from enclave.errors import Conflict, InvalidHandle, NotFound
from enclave.operation import OperationRequest, OperationStatus, OperationType
from enclave.store import Store, keys
from enclave.store.leases import Ending

HANDLES = st.sets(st.from_regex(r"[0-9a-h._-]{1,5}", fullmatch=True), max_size=8)


def deprovision(store: Store, app_id: int) -> None:
    request = OperationRequest(app_id, OperationType.DEPROVISION, 1, "ann@example.com")
    store.operations.submit(request, Changes())
    lease = store.leases.take(app_id, holder="w", seconds=60)
    assert lease is not None
    ended = OperationStatus.SUCCEEDED
    state, secrets = AppState(), AppSecrets()
    store.leases.finish(lease, Ending(ended, "", state=state, secrets=secrets, deprovisions=True))


@given(st.lists(HANDLES, max_size=4), st.integers(1, 7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_pages_are_all_apps_each_once(store: Store, handles: list[set[str]], size: int) -> None:
    store.database.raw.flushdb()
    wanted, environments = [], []
    for number, names in enumerate(handles):
        environment = store.apps.create_environment(f"env-{number}")
        environments.append(environment.id)
        for handle in names:
            store.apps.create(environment, handle)
        wanted += [f"env-{number}/{handle}" for handle in sorted(names)]
    found: list[str] = []
    for skip in range(0, len(wanted) + 1, size):
        apps, total = store.apps.page(environments, skip=skip, size=size)
        found += [app.name for app in apps]
        assert total == len(wanted)
        assert len(apps) <= size
    assert found == wanted
    assert store.apps.page(environments, skip=len(wanted), size=size) == ([], len(wanted))


@pytest.mark.parametrize("lost", ["one", "all", "too many"])
def test_an_order_that_does_not_agree_is_made_anew(store: Store, lost: str) -> None:
    environment = store.apps.create_environment("prod")
    apps = [store.apps.create(environment, handle) for handle in ("a", "b", "c")]
    order = keys.environment_handles(environment.id)
    if lost == "all":  # a store from before there was an order
        store.database.raw.delete(order)
    elif lost == "one":  # a process killed between the two writes
        store.database.raw.zrem(order, "b")
    else:
        store.database.raw.zadd(order, {"gone": 0})
    assert store.apps.page([environment.id], skip=0, size=9) == (apps, 3)
    assert store.database.raw.zrange(order, 0, -1) == [b"a", b"b", b"c"]


def test_a_deprovisioned_app_is_in_no_list(store: Store) -> None:
    environment = store.apps.create_environment("prod")
    gone, kept = (store.apps.create(environment, handle) for handle in ("a", "b"))
    deprovision(store, gone.id)
    assert store.apps.page([environment.id], skip=0, size=9) == ([kept], 1)
    assert store.apps.index.named([environment.id], "a") == []
    with pytest.raises(NotFound):
        store.apps.rename(gone, "c")
    assert store.apps.create(environment, "a").id != gone.id


class TestRenaming:
    def test_it_is_found_by_its_new_handle_alone(self, store: Store) -> None:
        environment = store.apps.create_environment("prod")
        app, other = (store.apps.create(environment, handle) for handle in ("b", "c"))
        renamed = store.apps.rename(app, "z")
        assert renamed.name == "prod/z"
        assert store.apps.app_by_handle("prod", "z") == renamed
        assert store.apps.page([environment.id], skip=0, size=9) == ([other, renamed], 2)
        with pytest.raises(NotFound):
            store.apps.app_by_handle("prod", "b")
        assert store.apps.rename(app, "z") == renamed  # as a client does that lost the answer

    def test_a_handle_that_is_taken_or_none(self, store: Store) -> None:
        environment = store.apps.create_environment("prod")
        app, other = (store.apps.create(environment, handle) for handle in ("b", "c"))
        with pytest.raises(Conflict):
            store.apps.rename(app, other.handle)
        with pytest.raises(InvalidHandle):
            store.apps.rename(app, "No")
        assert store.apps.page([environment.id], skip=0, size=9) == ([app, other], 2)

    def test_of_racing_ones_each_handle_goes_to_one(self, store: Store) -> None:
        environment = store.apps.create_environment("prod")
        apps = [store.apps.create(environment, f"app-{number}") for number in range(8)]

        def rename(number: int) -> bool:
            try:
                store.apps.rename(apps[number], f"new-{number % 2}")
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(rename, range(8)))
        assert sum(won) == 2
        listed, total = store.apps.page([environment.id], skip=0, size=9)
        assert total == len({app.handle for app in listed}) == 8


def test_the_last_deploy_is_known_however_long_ago_it_was(store: Store) -> None:
    app = store.apps.create(store.apps.create_environment("prod"), "web")
    assert store.operations.last_deploy(app.id) is None
    deploy = OperationRequest(app.id, OperationType.DEPLOY, 1, "ann@example.com")
    asked = store.operations.submit(deploy, Changes(image="nginx"))
    for _ in range(30):
        restart = OperationRequest(app.id, OperationType.RESTART, 1, "ann@example.com")
        store.operations.submit(restart, Changes())
    assert store.operations.last_deploy(app.id) == asked
