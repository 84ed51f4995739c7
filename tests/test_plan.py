"""What a deploy will do, as data (SPEC 4.1, 4.4, 4.5, 4.6)."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import App, AppState, Service
from enclave.errors import InvalidCommand, OperationFailed
from enclave.pushed_config import ConfigFiles, PushedConfig
from enclave.release import Attempt, Release, ReleasedService
from worker.plan import Placement, Plan, arguments, environment, live_services, plan_deploy
from worker.runtime import Image

COMMIT = "a" * 40
PLAIN = Image("nginx@sha256:1", "sha256:1", command=("nginx",))
WITH_ENTRYPOINT = Image("nginx@sha256:1", "sha256:1", entrypoint=("/entry",))
EMPTY = Image("nginx@sha256:1", "sha256:1")
ATTEMPT = Attempt(4, 41, "1")
APP = App(7, 1, "prod", "web", "2026-01-01T00:00:00.000Z")


def pushed(procfile: str | None = None, aptible_yml: str | None = None) -> PushedConfig:
    return PushedConfig(COMMIT, procfile, aptible_yml)


def state(procfile: str | None = None, aptible_yml: str | None = None, *live: Service) -> AppState:
    return AppState("nginx", pushed(procfile, aptible_yml), services=live)


def plan(wanted: AppState, image: Image = PLAIN, *, count_of_new: int | None = None) -> Plan:
    files = wanted.pushed.files if wanted.pushed else ConfigFiles()
    return plan_deploy(wanted, image, files, count_of_new=count_of_new)


def release(*services: ReleasedService, commit: str | None = COMMIT) -> Release:
    return Release(
        number=3,
        app_id=APP.id,
        operation_id=41,
        fence="1",
        user_email="me@example.com",
        created_at="2026-01-01T00:00:00.000Z",
        image="nginx:1",
        pinned="nginx@sha256:1",
        image_id="sha256:1",
        pushed=PushedConfig(commit) if commit else None,
        services=services,
        sealed_configuration="",
    )


class TestServices:
    def test_the_process_types_of_the_procfile_are_the_services_in_its_order(self) -> None:
        services = plan(state("worker: work\nweb: serve $PORT\n")).services
        assert [(s.process_type, s.command) for s in services] == [
            ("worker", "work"),
            ("web", "serve $PORT"),
        ]

    @pytest.mark.parametrize(
        "wanted", [AppState("nginx"), AppState("nginx", detached=True), state(None)]
    )
    @pytest.mark.parametrize("image", [PLAIN, WITH_ENTRYPOINT])
    def test_without_a_procfile_the_image_runs_as_it_is(
        self, wanted: AppState, image: Image
    ) -> None:
        assert plan(wanted, image).services == (ReleasedService("cmd", None, None, 1),)

    def test_nothing_to_run_names_both_remedies(self) -> None:
        with pytest.raises(OperationFailed, match=r"with a CMD.*push a Procfile"):
            plan(state(None), EMPTY)

    def test_a_procfile_needs_no_cmd(self) -> None:
        (service,) = plan(state("web: run"), EMPTY).services
        assert service.arguments == ("/bin/sh", "-c", "run")

    @pytest.mark.parametrize(
        ("live", "count_of_new", "expected"),
        [
            ((), None, {"web": 1, "worker": 1}),
            ((), 3, {"web": 3, "worker": 3}),
            ((), 0, {"web": 0, "worker": 0}),
            ((Service("web", "old", 4),), None, {"web": 4, "worker": 1}),
            ((Service("web", "old", 4),), 2, {"web": 4, "worker": 2}),
            ((Service("web", "old", 0),), 2, {"web": 0, "worker": 2}),
            ((Service("gone", "old", 4),), None, {"web": 1, "worker": 1}),
            ((Service("cmd", None, 4),), None, {"web": 1, "worker": 1}),
        ],
    )
    def test_existing_services_keep_their_count_and_vanished_ones_go(
        self, live: tuple[Service, ...], count_of_new: int | None, expected: dict[str, int]
    ) -> None:
        services = plan(state("web: a\nworker: b", None, *live), count_of_new=count_of_new).services
        assert {s.process_type: s.container_count for s in services} == expected

    def test_what_ran_is_what_the_app_keeps(self) -> None:
        services = plan(state("web: a", None, Service("web", "old", 2))).services
        assert live_services(services) == (Service("web", "a", 2),)


class TestCommands:
    @pytest.mark.parametrize("command", ["run", "a 'b", "a && b $C \\", "  x", "#"])
    def test_without_an_entrypoint_a_shell_gets_it_verbatim(self, command: str) -> None:
        assert arguments(command, PLAIN) == ("/bin/sh", "-c", command)

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("run", ("run",)),
            ("run  a\tb", ("run", "a", "b")),
            ("run 'a b' \"c d\" e\\ f", ("run", "a b", "c d", "e f")),
            ("echo $HOME ${X} `id` $(id)", ("echo", "$HOME", "${X}", "`id`", "$(id)")),
            ("a && b | c > d; e", ("a", "&&", "b", "|", "c", ">", "d;", "e")),
            ("a *.py ~ {b,c}", ("a", "*.py", "~", "{b,c}")),
            ("a # not a comment", ("a", "#", "not", "a", "comment")),
            ("''", ("",)),
            ("é 😀", ("é", "😀")),
        ],
    )
    def test_with_an_entrypoint_it_is_split_and_no_shell_sees_it(
        self, command: str, words: tuple[str, ...]
    ) -> None:
        assert arguments(command, WITH_ENTRYPOINT) == words

    @pytest.mark.parametrize("command", ["a 'b", 'a "b', "a \\", "it's"])
    def test_one_that_cannot_be_split_is_refused_with_its_text(self, command: str) -> None:
        with pytest.raises(InvalidCommand, match=re.escape(command)):
            arguments(command, WITH_ENTRYPOINT)
        with pytest.raises(InvalidCommand):
            plan(state(f"web: {command}"), WITH_ENTRYPOINT)

    def test_so_is_a_before_release_command_that_cannot_be_split(self) -> None:
        wanted = state("web: run", 'before_release: ["it\'s"]')
        with pytest.raises(InvalidCommand, match="it's"):
            plan(wanted, WITH_ENTRYPOINT)
        assert plan(wanted, PLAIN).before == ("it's",)

    @given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
    def test_any_text_is_split_or_refused(self, command: str) -> None:
        try:
            words = arguments(command, WITH_ENTRYPOINT)
        except InvalidCommand:
            return
        assert all(isinstance(word, str) for word in words)

    def test_the_before_commands_keep_their_order(self) -> None:
        assert plan(state("web: run", "before_release: [b, a]")).before == ("b", "a")
        assert plan(state("web: run")).before == ()
        assert plan(AppState("nginx", detached=True)).before == ()


class TestEnvironment:
    def test_ours_wins_over_the_configuration(self) -> None:
        names = [
            "APTIBLE_PROCESS_TYPE",
            "APTIBLE_PROCESS_INDEX",
            "APTIBLE_PROCESS_CONTAINER_COUNT",
            "APTIBLE_CONTAINER_SIZE",
            "APTIBLE_LAYER",
            "APTIBLE_GIT_REF",
        ]
        configuration = {"A": "1", **dict.fromkeys(names, "mine")}
        assert environment(
            configuration, commit=COMMIT, process_type="web", index=2, count=3, memory_mb=512
        ) == {
            "A": "1",
            "APTIBLE_PROCESS_TYPE": "web",
            "APTIBLE_PROCESS_INDEX": "2",
            "APTIBLE_PROCESS_CONTAINER_COUNT": "3",
            "APTIBLE_CONTAINER_SIZE": "512",
            "APTIBLE_LAYER": "app",
            "APTIBLE_GIT_REF": COMMIT,
        }

    def test_without_a_commit_there_is_no_git_ref(self) -> None:
        found = environment({}, commit=None, process_type="cmd", index=1, count=1, memory_mb=1024)
        assert "APTIBLE_GIT_REF" not in found


class TestContainers:
    placement = Placement("i9", APP)

    def test_one_each_service_and_index(self) -> None:
        live = release(
            ReleasedService("web", "a", ("/bin/sh", "-c", "a"), 2),
            ReleasedService("idle", "b", ("b",), 0),
            ReleasedService("cmd", None, None, 1),
        )
        specs = self.placement.service_containers(live, {"A": "1"})
        assert [
            (spec.labels["enclave.service"], spec.labels["enclave.index"], spec.command)
            for spec in specs
        ] == [
            ("web", "1", ("/bin/sh", "-c", "a")),
            ("web", "2", ("/bin/sh", "-c", "a")),
            ("cmd", "1", None),
        ]
        assert {spec.image_id for spec in specs} == {"sha256:1"}
        assert {spec.entrypoint for spec in specs} == {None}
        assert [spec.environment["APTIBLE_PROCESS_INDEX"] for spec in specs] == ["1", "2", "1"]
        assert {spec.environment["A"] for spec in specs} == {"1"}
        assert len({spec.name for spec in specs}) == 3

    def test_labels_say_whose_it_is(self) -> None:
        (spec,) = self.placement.service_containers(
            release(ReleasedService("web", "a", ("a",), 1)), {}
        )
        assert spec.labels == {
            "enclave.installation": "i9",
            "enclave.app": "7",
            "enclave.name": "prod/web",
            "enclave.release": "3",
            "enclave.operation": "41",
            "enclave.fence": "1",
            "enclave.service": "web",
            "enclave.index": "1",
        }
        assert self.placement.labels().items() <= spec.labels.items()

    def test_a_before_command_belongs_to_the_operation_and_to_no_release(self) -> None:
        spec = self.placement.command_container(
            ATTEMPT, release(), {"A": "1"}, ("/bin/sh", "-c", "migrate"), "before_release.2"
        )
        assert spec.command == ("/bin/sh", "-c", "migrate")
        assert spec.labels["enclave.operation"] == "41"
        assert "enclave.release" not in spec.labels
        assert spec.environment["APTIBLE_PROCESS_TYPE"] == "before_release"
        assert spec.environment["A"] == "1"

    def test_names_are_ones_that_docker_takes_and_hold_no_handle(self) -> None:
        app = App(7, 1, "acme-prod", "shop", APP.created_at)
        service = ReleasedService("Web_1-x", "a", ("a",), 1)
        specs = Placement("i9", app).service_containers(release(service), {})
        specs.append(
            Placement("i9", app).command_container(
                ATTEMPT, release(), {}, ("a",), "before_release.1"
            )
        )
        for spec in specs:
            assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", spec.name)
            assert "acme" not in spec.name
            assert "shop" not in spec.name

    def test_names_of_different_operations_and_installations_differ(self) -> None:
        service = ReleasedService("web", "a", ("a",), 1)
        one = release(service)
        names = {
            spec.name
            for installation in ("i9", "i8")
            for number in (41, 42)
            for app in (APP, replace(APP, id=8))
            for spec in Placement(installation, app).service_containers(
                replace(one, operation_id=number), {}
            )
        }
        assert len(names) == 8

    def test_secrets_do_not_show(self) -> None:
        (spec,) = self.placement.service_containers(
            release(ReleasedService("web", "a", ("a",), 1)), {"TOKEN": "hunter2hunter2"}
        )
        assert "hunter2" not in repr(spec)
