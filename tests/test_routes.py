"""Routes in the store: fenced, counted, announced, and safe to ask for twice; a real Redis."""

import threading
from dataclasses import replace

import pytest
from held_app import HeldApp

from enclave.errors import CertificateNotServed, Conflict, LeaseLost, StepTimedOut
from enclave.route import Route, Target
from enclave.store import Store, keys

A, B = Target("10.64.0.2", 8080), Target("10.64.0.3", 8080)


@pytest.fixture
def app(store: Store) -> HeldApp:
    return HeldApp(store)


@pytest.fixture
def twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every script twice, as a client does whose first answer was lost."""
    run = store.database.run

    def run_twice(*arguments: object) -> object:
        run(*arguments)  # type: ignore[arg-type]
        return run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store.database, "run", run_twice)


def route(app: HeldApp, endpoint_id: int, *hosts: str, target: Target = A) -> Route:
    return Route(endpoint_id, app.app.id, hosts, (target,))


class TestWanting:
    def test_what_is_wanted_is_there_with_a_revision_that_grows(
        self, store: Store, app: HeldApp
    ) -> None:
        first, second = route(app, 1, "a"), route(app, 2, "b")
        revisions = [store.routes.set(app.lease, each) for each in (first, second)]
        revisions.append(store.routes.remove(app.lease, 1))
        assert revisions == [1, 2, 3]
        assert store.routes.all() == [second]

    def test_an_app_has_its_own(self, store: Store, app: HeldApp) -> None:
        other = HeldApp(store)
        store.routes.set(app.lease, route(app, 1, "a"))
        store.routes.set(other.lease, route(other, 2, "b"))
        assert [each.endpoint_id for each in store.routes.of_app(other.app.id)] == [2]

    def test_a_lost_lease_writes_nothing(self, store: Store, app: HeldApp) -> None:
        wanted = route(app, 1, "a")
        store.routes.set(app.lease, wanted)
        heir = app.lose()
        with pytest.raises(LeaseLost):
            store.routes.set(app.lease, replace(wanted, targets=(B,)))
        with pytest.raises(LeaseLost):
            store.routes.remove(app.lease, 1)
        with pytest.raises(LeaseLost):  # not even what is there already
            store.routes.set(app.lease, wanted)
        assert store.routes.all() == [wanted]
        assert store.routes.changes().revision == 1
        assert store.routes.set(heir, replace(wanted, targets=(B,))) == 2

    @pytest.mark.usefixtures("twice")
    def test_asked_twice_it_is_once(self, store: Store, app: HeldApp) -> None:
        assert store.routes.set(app.lease, route(app, 1, "a")) == 1
        assert store.routes.set(app.lease, route(app, 1, "a", target=B)) == 2
        assert store.routes.remove(app.lease, 1) == 3
        assert store.routes.changes().revision == 3

    def test_wanted_again_it_keeps_its_revision(self, store: Store, app: HeldApp) -> None:
        wanted = route(app, 1, "a")
        assert store.routes.set(app.lease, wanted) == 1
        assert store.routes.set(app.lease, route(app, 2, "b")) == 2
        assert store.routes.set(app.lease, wanted) == 1

    def test_what_was_never_there_can_be_removed(self, store: Store, app: HeldApp) -> None:
        store.routes.wait_applied(store.routes.remove(app.lease, 9), 0)
        assert store.routes.all() == []


class TestHosts:
    def test_a_host_is_one_endpoints(self, store: Store, app: HeldApp) -> None:
        other = HeldApp(store)
        store.routes.set(app.lease, route(app, 1, "a", "b"))
        with pytest.raises(Conflict, match="the host b belongs to another endpoint"):
            store.routes.set(other.lease, route(other, 2, "c", "b"))
        assert [each.endpoint_id for each in store.routes.all()] == [1]
        assert store.routes.set(other.lease, route(other, 2, "c")) == 2

    def test_what_is_given_up_is_free(self, store: Store, app: HeldApp) -> None:
        store.routes.set(app.lease, route(app, 1, "a", "b"))
        store.routes.set(app.lease, route(app, 1, "b"))
        store.routes.set(app.lease, route(app, 2, "a"))
        store.routes.remove(app.lease, 1)
        store.routes.set(app.lease, route(app, 2, "a", "b"))
        assert store.database.redis.hgetall(keys.ROUTE_HOSTS) == {"a": "2", "b": "2"}


class TestReading:
    def test_only_what_changed_since(self, store: Store, app: HeldApp) -> None:
        first, second = route(app, 1, "a"), route(app, 2, "b")
        store.routes.set(app.lease, first)
        store.routes.set(app.lease, second)
        store.routes.remove(app.lease, 1)
        everything = store.routes.changes()
        assert (everything.revision, everything.routes) == (3, {2: second, 1: None})
        assert store.routes.changes(since=2).routes == {1: None}
        assert store.routes.changes(since=3).routes == {}

    def test_changes_are_announced(self, store: Store, app: HeldApp) -> None:
        with store.routes.announcements() as announcements:
            assert not announcements.wait(0.05)
            store.routes.set(app.lease, route(app, 1, "a"))
            store.routes.set(app.lease, route(app, 2, "b"))
            assert announcements.wait(5)
            announcements.wait(0.2)  # the second's, if the first came alone
            store.routes.set(app.lease, route(app, 2, "b"))  # no news
            assert not announcements.wait(0.05)

    def test_a_subscription_that_broke_counts_as_news(self, store: Store, app: HeldApp) -> None:
        with store.routes.announcements() as announcements:
            store.database.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            store.routes.set(app.lease, route(app, 1, "a"))
            assert announcements.wait(5)


class TestWaiting:
    def test_until_it_is_applied(self, store: Store) -> None:
        with pytest.raises(StepTimedOut, match="Is `enclave router` running"):
            store.routes.wait_applied(2, 0.05)
        timer = threading.Timer(0.1, lambda: store.routes.report(2, frozenset(), {}))
        timer.start()
        store.routes.wait_applied(2, 10)
        store.routes.wait_applied(1, 0)
        timer.join()

    def test_what_could_not_be_served_is_told_until_it_can(self, store: Store) -> None:
        store.routes.report(1, frozenset(), {5: "it is gone"})
        store.routes.require_served(6)
        with pytest.raises(CertificateNotServed, match="Certificate 5 cannot be served: it is"):
            store.routes.require_served(5)
        store.routes.report(2, frozenset(), {})
        store.routes.require_served(5)

    def test_until_it_is_drained(self, store: Store) -> None:
        store.routes.report(1, frozenset({4, 5}), {})
        store.routes.wait_drained(6, 0)
        with pytest.raises(StepTimedOut, match=r"were not over within 0\.05 s"):
            store.routes.wait_drained(4, 0.05)
        timer = threading.Timer(0.1, lambda: store.routes.report(1, frozenset({5}), {}))
        timer.start()
        store.routes.wait_drained(4, 10)
        timer.join()
        assert store.routes.is_draining(5)
