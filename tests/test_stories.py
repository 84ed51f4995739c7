"""What each kind of operation does to containers, state and releases (SPEC 4 to 6).

On a real Redis, with an Engine in memory: what is tested is what stays, what is made and what goes.
"""

import threading
from collections import Counter
from pathlib import Path

import pytest
from one_app import ANN, OneApp

from enclave.app import AppStatus, Service, ServiceSettings
from enclave.changes import Changes
from enclave.errors import ContainerDied, NotFound
from enclave.operation import OperationStatus, OperationType, Source
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from receiver.leftovers import remove_deprovisioned
from worker.runtime import Container, ContainerSpec

A, B = "a" * 40, "b" * 40
TWO = "web: serve\nworker: work\n"
HOOKS = """
before_release: migrate
after_deploy_success: [announce, party]
after_deploy_failure: mourn
after_restart_success: greet
after_scale_failure: grumble
"""


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> OneApp:
    platform = OneApp(store, tmp_path)
    platform.done(
        OperationType.DEPLOY,
        Changes(image="one:1", environment={"A": "1"}),
        source=Source.COMMIT,
        pushed=PushedConfig(A, TWO, HOOKS),
    )
    platform.engine.commands.clear()
    return platform


def names(platform: OneApp) -> dict[str, str]:
    """Return the running containers: service and index, and the operation that made them."""
    return {
        f"{each.labels['enclave.service']}.{each.labels['enclave.index']}": each.labels[
            "enclave.operation"
        ]
        for each in platform.engine.all.values()
        if each.running
    }


def failed(
    platform: OneApp, kind: OperationType, changes: Changes | None = None, **request: object
) -> list[str]:
    operation = platform.ask(kind, changes, **request)
    platform.work()
    assert platform.status(operation) is OperationStatus.FAILED, platform.log(operation)
    return platform.log(operation)


class TestRestart:
    def test_every_container_is_made_anew_and_nothing_is_pulled(self, platform: OneApp) -> None:
        platform.engine.on["resolve", "worker"] = platform.engine.on["pull", "worker"] = _never
        operation = platform.done(OperationType.RESTART)
        assert names(platform) == {"web.1": str(operation.id), "worker.1": str(operation.id)}
        release = platform.release(2)
        assert (release.type, release.image, release.pinned) == (
            "restart",
            "one:1",
            platform.release(1).pinned,
        )
        assert platform.log(operation)[-2] == "INFO: Restart succeeded."

    def test_before_release_runs_on_deploys_only(self, platform: OneApp) -> None:
        platform.done(OperationType.RESTART)
        assert platform.engine.commands == ["greet"]

    def test_an_app_that_was_never_deployed_has_nothing_to_restart(
        self, store: Store, tmp_path: Path
    ) -> None:
        log = failed(OneApp(store, tmp_path), OperationType.RESTART)
        assert "never deployed" in log[-2]

    def test_an_image_that_is_gone_is_said(self, platform: OneApp) -> None:
        platform.engine.gone_images.add("id of library/one")
        log = failed(platform, OperationType.RESTART)
        assert "not on the Engine any more" in log[-2]
        assert len(names(platform)) == 2


class TestManyContainers:
    """Containers of one release are started at once (SPEC 6.3 holds all the same)."""

    def test_they_start_at_once(self, platform: OneApp) -> None:
        together = threading.Barrier(2)
        start = platform.engine.start

        def meet(spec: ContainerSpec) -> Container:
            together.wait(10)
            return start(spec)

        platform.engine.start = meet  # type: ignore[method-assign]
        operation = platform.done(OperationType.RESTART)
        assert names(platform) == {"web.1": str(operation.id), "worker.1": str(operation.id)}

    def test_none_starts_before_every_old_one_is_stopped(self, platform: OneApp) -> None:
        start, overlaps = platform.engine.start, list[dict[str, str]]()

        def look(spec: ContainerSpec) -> Container:
            old = {name: by for name, by in names(platform).items() if by == "1"}
            overlaps.append(old)
            return start(spec)

        platform.engine.start = look  # type: ignore[method-assign]
        platform.done(OperationType.RESTART)
        assert overlaps == [{}, {}]

    def test_one_that_cannot_start_leaves_nothing_of_the_others(self, platform: OneApp) -> None:
        start, together = platform.engine.start, threading.Barrier(2)

        def fail_for_web(spec: ContainerSpec) -> Container:
            if spec.labels["enclave.operation"] != "1":
                together.wait(10)
                if spec.labels["enclave.service"] == "web":
                    raise ContainerDied("there is no such program")
            return start(spec)

        platform.engine.start = fail_for_web  # type: ignore[method-assign]
        log = failed(platform, OperationType.RESTART)
        assert "there is no such program" in "\n".join(log)
        assert names(platform) == {"web.1": "1", "worker.1": "1"}
        assert {each.labels["enclave.operation"] for each in platform.engine.all.values()} == {"1"}

    def test_a_cancel_amid_the_starts_leaves_nothing(self, platform: OneApp) -> None:
        operation = platform.ask(OperationType.RESTART)
        cancel_at(platform, "start", operation.id)
        platform.work()
        assert platform.store.operations.operation(operation.id).cancelled
        assert platform.status(operation) is OperationStatus.FAILED
        assert names(platform) == {"web.1": "1", "worker.1": "1"}

    def test_a_redeploy_asks_the_engine_no_more_than_it_must(self, platform: OneApp) -> None:
        asked = Counter[str]()
        call = platform.engine._call

        def counted(name: str) -> None:
            asked[name] += 1
            call(name)

        platform.engine._call = counted  # type: ignore[method-assign]
        platform.done(OperationType.DEPLOY)
        commands = {"run": 3, "remove": 2}  # the hooks; the old containers
        of_two = {"stop": 2, "start": 2, "settle": 2, "keep": 2}
        assert dict(asked) == {"resolve": 1, "pull": 1, "containers": 2, **of_two, **commands}


class TestRebuild:
    def test_the_reference_is_resolved_again_and_no_command_runs(self, platform: OneApp) -> None:
        resolved: list[bool] = []
        platform.engine.on["resolve", "worker"] = lambda: resolved.append(True)
        platform.done(OperationType.REBUILD)
        assert resolved
        assert platform.engine.commands == []
        assert platform.release(2).type == "rebuild"


class TestConfigure:
    def test_variables_change_and_every_container_gets_them(self, platform: OneApp) -> None:
        platform.engine.made.clear()
        changes = Changes(environment={"A": "", "B": "2"})
        operation = platform.done(OperationType.CONFIGURE, changes)
        assert platform.store.apps.secrets(platform.app.id).configuration == {"B": "2"}
        assert names(platform) == {"web.1": str(operation.id), "worker.1": str(operation.id)}
        services = [spec for spec in platform.engine.made if "enclave.service" in spec.labels]
        assert all(spec.environment.get("B") == "2" for spec in services)
        assert not any("A" in spec.environment for spec in services)

    def test_an_app_that_was_never_deployed_only_stores_them(
        self, store: Store, tmp_path: Path
    ) -> None:
        platform = OneApp(store, tmp_path)
        platform.done(OperationType.CONFIGURE, Changes(environment={"A": "1"}))
        assert store.apps.secrets(platform.app.id).configuration == {"A": "1"}
        assert store.apps.app(platform.app.id).status is AppStatus.PENDING
        assert platform.engine.all == {}

    def test_what_failed_changes_nothing(self, platform: OneApp) -> None:
        platform.engine.on["settle", "worker"] = _died
        changes = Changes(environment={"A": "2"})
        platform.engine.on["keep", "worker"] = lambda: None
        failed(platform, OperationType.CONFIGURE, changes)
        assert platform.store.apps.secrets(platform.app.id).configuration == {"A": "1"}
        assert names(platform) == {"web.1": "1", "worker.1": "1"}


class TestScale:
    def test_only_the_scaled_service_gets_new_containers(self, platform: OneApp) -> None:
        changes = Changes(container_count=3, container_size=256)
        operation = platform.done(OperationType.SCALE, changes, process_type="web")
        assert names(platform) == {
            "web.1": str(operation.id),
            "web.2": str(operation.id),
            "web.3": str(operation.id),
            "worker.1": "1",
        }
        assert platform.state.services == (
            Service("web", "serve", 3, 256),
            Service("worker", "work", 1),
        )
        made = [
            spec for spec in platform.engine.made if spec.labels.get("enclave.service") == "web"
        ]
        assert made[-1].memory_mb == 256
        assert made[-1].environment["APTIBLE_PROCESS_CONTAINER_COUNT"] == "3"
        assert made[-1].environment["APTIBLE_CONTAINER_SIZE"] == "256"

    def test_it_is_kept_by_the_next_deploy(self, platform: OneApp) -> None:
        platform.done(OperationType.SCALE, Changes(container_count=2), process_type="web")
        platform.done(OperationType.DEPLOY, Changes(container_count=5))
        assert len(names(platform)) == 3

    def test_none_is_a_count(self, platform: OneApp) -> None:
        platform.done(OperationType.SCALE, Changes(container_count=0), process_type="web")
        assert names(platform) == {"worker.1": "1"}
        platform.done(OperationType.SCALE, Changes(container_count=1), process_type="web")
        assert set(names(platform)) == {"web.1", "worker.1"}

    def test_a_failed_one_leaves_the_others_containers_alone(self, platform: OneApp) -> None:
        platform.engine.on["settle", "worker"] = _died
        log = failed(platform, OperationType.SCALE, Changes(container_count=2), process_type="web")
        assert "INFO: Rolled back: release 1 serves again." in log
        assert names(platform) == {"web.1": "1", "worker.1": "1"}
        assert platform.engine.commands == ["grumble"]

    def test_a_service_that_is_gone_is_said(self, platform: OneApp) -> None:
        log = failed(platform, OperationType.SCALE, Changes(container_count=2), process_type="x")
        assert "no service 'x'" in log[-2]


class TestRollback:
    def test_image_commit_and_configuration_come_back_and_counts_stay(
        self, platform: OneApp
    ) -> None:
        platform.done(
            OperationType.DEPLOY,
            Changes(image="two:1", environment={"A": "2"}),
            source=Source.COMMIT,
            pushed=PushedConfig(B, "web: other\n"),
        )
        platform.done(OperationType.SCALE, Changes(container_count=2), process_type="web")
        platform.engine.on["resolve", "worker"] = platform.engine.on["pull", "worker"] = _never
        platform.engine.commands.clear()
        operation = platform.done(OperationType.ROLLBACK, release=1)
        state = platform.state
        assert (state.image, state.release) == ("one:1", 4)
        assert state.pushed is not None
        assert state.pushed.commit == A
        assert platform.store.apps.secrets(platform.app.id).configuration == {"A": "1"}
        assert set(names(platform)) == {"web.1", "web.2", "worker.1"}
        assert platform.engine.running() == ["id of library/one"] * 3
        assert platform.engine.commands == []
        assert "INFO: Rollback succeeded." in platform.log(operation)

    def test_one_that_has_expired_is_refused_and_one_that_is_kept_is_held(
        self, platform: OneApp
    ) -> None:
        for _ in range(platform.settings.releases_kept):
            platform.done(OperationType.RESTART)
        log = failed(platform, OperationType.ROLLBACK, release=1)
        assert "Release 1 has expired" in log[-2]
        held: list[dict[int, str]] = []
        images = platform.store.images
        platform.engine.on["start", "worker"] = lambda: held.append(images.held(platform.app.id))
        operation = platform.done(OperationType.ROLLBACK, release=3)
        assert held[0] == {operation.id: platform.release(3).pinned}
        assert images.held(platform.app.id) == {}

    def test_a_release_that_is_not_there_is_said(self, platform: OneApp) -> None:
        log = failed(platform, OperationType.ROLLBACK, release=9)
        assert "no release 9" in log[-2]

    def test_a_detached_release_is_detached_again(self, platform: OneApp) -> None:
        platform.done(OperationType.DEPLOY, source=Source.DETACH)
        assert set(names(platform)) == {"cmd.1"}
        platform.done(OperationType.DEPLOY, source=Source.COMMIT, pushed=PushedConfig(B, TWO))
        platform.done(OperationType.ROLLBACK, release=2)
        assert platform.state.detached
        assert platform.state.pushed is None
        assert set(names(platform)) == {"cmd.1"}


class TestDeprovision:
    def test_containers_refs_and_handle_go(self, platform: OneApp) -> None:
        store, app = platform.store, platform.app
        operation = platform.done(OperationType.DEPROVISION)
        assert platform.engine.all == {}
        assert store.apps.app(app.id).status is AppStatus.DEPROVISIONED
        assert store.apps.secrets(app.id).configuration == {}
        assert store.apps.releases(app.id) == []
        assert store.apps.deprovisioned() == [app.id]
        with pytest.raises(NotFound):
            store.apps.app_by_handle("prod", "web")
        again = store.apps.create(store.apps.environment(app.environment_id), "web")
        assert again.id != app.id
        assert "INFO: App deprovisioned." in platform.log(operation)

    def test_the_repository_goes_with_the_next_look_at_the_disk(self, platform: OneApp) -> None:
        repository = platform.settings.repository(platform.app.id)
        neighbour = platform.settings.repository(platform.app.id + 1)
        for each in (repository, neighbour):
            (each / "objects").mkdir(parents=True)
        assert remove_deprovisioned(platform.store, platform.settings) == 0
        platform.done(OperationType.DEPROVISION)
        assert remove_deprovisioned(platform.store, platform.settings) == 1
        assert not repository.exists()
        assert neighbour.exists()
        assert remove_deprovisioned(platform.store, platform.settings) == 0

    def test_what_waited_behind_it_fails_and_says_why(self, platform: OneApp) -> None:
        platform.ask(OperationType.DEPROVISION)
        behind = platform.ask(OperationType.RESTART)
        platform.work()
        platform.work()
        assert platform.status(behind) is OperationStatus.FAILED
        assert "ERROR: The app was deprovisioned." in platform.log(behind)
        assert platform.engine.all == {}

    def test_one_that_fails_brings_everything_back(self, platform: OneApp) -> None:
        operation = platform.ask(OperationType.DEPROVISION)
        cancel_at(platform, "containers", operation.id)
        platform.work()
        assert platform.status(operation) is OperationStatus.FAILED
        assert names(platform) == {"web.1": "1", "worker.1": "1"}
        assert platform.store.apps.app(platform.app.id).status is AppStatus.PROVISIONED


class TestHooks:
    def test_success_hooks_run_in_order_after_a_deploy(self, platform: OneApp) -> None:
        operation = platform.done(OperationType.DEPLOY)
        assert platform.engine.commands == ["migrate", "announce", "party"]
        assert platform.log(operation)[-2] == "INFO: Deploy succeeded."

    def test_failure_hooks_are_the_previous_releases(self, platform: OneApp) -> None:
        platform.engine.failing.add("explode")
        log = failed(
            platform,
            OperationType.DEPLOY,
            source=Source.COMMIT,
            pushed=PushedConfig(B, TWO, "before_release: explode\nafter_deploy_failure: new one\n"),
        )
        assert platform.engine.commands == ["explode", "mourn"]
        rolled_back = log.index("INFO: Release 1 serves on, as before.")
        assert rolled_back < log.index("INFO: STARTING: after_deploy_failure 1 of 1: mourn")

    @pytest.mark.parametrize("which", ["announce", "party"])
    def test_a_failing_success_hook_is_logged_and_changes_nothing(
        self, platform: OneApp, which: str
    ) -> None:
        platform.engine.failing.add(which)
        operation = platform.done(OperationType.DEPLOY)
        assert platform.engine.commands == ["migrate", "announce", "party"]
        warning = f"WARN: after_deploy_success command exited 1: {which} (which changes nothing)"
        assert warning in platform.log(operation)

    def test_a_failing_failure_hook_is_logged(self, platform: OneApp) -> None:
        platform.engine.failing |= {"explode", "mourn"}
        pushed = PushedConfig(B, TWO, "before_release: explode\n")
        log = failed(platform, OperationType.DEPLOY, source=Source.COMMIT, pushed=pushed)
        assert "WARN: after_deploy_failure command exited 1: mourn (which changes nothing)" in log
        assert log[-2] == "ERROR: before_release command exited 1: explode"

    def test_a_first_deploy_that_fails_has_no_failure_hooks(
        self, store: Store, tmp_path: Path
    ) -> None:
        platform = OneApp(store, tmp_path)
        platform.engine.failing.add("migrate")
        pushed = PushedConfig(A, TWO, HOOKS)
        failed(
            platform,
            OperationType.DEPLOY,
            Changes(image="one:1"),
            source=Source.COMMIT,
            pushed=pushed,
        )
        assert platform.engine.commands == ["migrate"]

    def test_a_cancel_runs_no_hooks(self, platform: OneApp) -> None:
        operation = platform.ask(OperationType.DEPLOY)
        cancel_at(platform, "start", operation.id)
        platform.work()
        assert platform.engine.commands == ["migrate"]
        assert names(platform) == {"web.1": "1", "worker.1": "1"}

    def test_a_success_hook_can_be_cancelled(self, platform: OneApp) -> None:
        operation = platform.ask(OperationType.RESTART)
        cancel_at(platform, "run", operation.id)
        platform.work()
        assert platform.store.operations.operation(operation.id).cancelled
        assert platform.status(operation) is OperationStatus.FAILED
        assert names(platform) == {"web.1": "1", "worker.1": "1"}


class TestFilesInTheImage:
    def test_they_count_without_a_repository(self, store: Store, tmp_path: Path) -> None:
        platform = OneApp(store, tmp_path)
        platform.engine.in_image = {
            "/.aptible/Procfile": b"web: x\njob: y\n",
            "/.aptible/.aptible.yml": b"before_release: z\n",
        }
        platform.done(OperationType.DEPLOY, Changes(image="one:1"))
        assert set(names(platform)) == {"web.1", "job.1"}
        assert platform.engine.commands == ["z"]

    def test_the_repository_counts_first_file_by_file(self, store: Store, tmp_path: Path) -> None:
        platform = OneApp(store, tmp_path)
        platform.engine.in_image = {
            "/.aptible/Procfile": b"web: x\njob: y\n",
            "/.aptible/.aptible.yml": b"before_release: z\n",
        }
        platform.done(
            OperationType.DEPLOY,
            Changes(image="one:1"),
            source=Source.COMMIT,
            pushed=PushedConfig(A, "only: this\n"),
        )
        assert set(names(platform)) == {"only.1"}
        assert platform.engine.commands == ["z"]

    def test_one_that_breaks_the_rules_is_refused_with_its_lines(self, platform: OneApp) -> None:
        platform.engine.in_image = {"/.aptible/Procfile": b"web: x\nnonsense\n"}
        log = failed(platform, OperationType.DEPLOY, Changes(image="two:1"), source=Source.DETACH)
        assert any(line.startswith("INFO: /.aptible/Procfile:2:") for line in log), log
        assert log[-2] == "ERROR: A file inside the image is invalid."
        assert len(names(platform)) == 2

    def test_a_live_image_is_not_looked_into_again(self, platform: OneApp) -> None:
        platform.done(OperationType.DEPLOY, source=Source.DETACH)
        platform.engine.on["files", "worker"] = _never
        platform.done(OperationType.DEPLOY)


class TestServiceSettings:
    def test_a_stop_time_is_kept_with_the_container(self, platform: OneApp) -> None:
        platform.store.apps.set_service_settings(platform.app.id, "web", ServiceSettings(42))
        platform.done(OperationType.RESTART)
        labels = {
            each.labels["enclave.service"]: each.labels.get("enclave.stop_seconds")
            for each in platform.engine.all.values()
        }
        assert labels == {"web": "42", "worker": None}


def cancel_at(platform: OneApp, call: str, operation_id: int) -> None:
    """Cancel the operation when the Engine is called, which goes on once that has been heard."""
    operations = platform.store.operations

    def cancel() -> None:
        operation = operations.operation(operation_id)
        if not operation.cancelled:
            operations.cancel(operation, by=ANN)
            for thread in threading.enumerate():
                if thread.name == "cancel listener":
                    thread.join(10)

    platform.engine.on[call, "worker"] = cancel


def _never() -> None:
    raise AssertionError("this must not be asked")


def _died() -> None:
    raise ContainerDied("It died.")
