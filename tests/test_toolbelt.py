"""The ``aptible`` command as people run it: a process of its own, against the API over loopback."""

import json
import shlex
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from terminal import SECONDS, Terminal

from api import operations
from api.call import Call
from api.hal import Resource
from enclave.activity import Actor
from enclave.app import App, AppSecrets, AppState, Service
from enclave.changes import Changes, changed_secrets, changed_state
from enclave.credentials import RegistryCredentials
from enclave.errors import OperationCancelled
from enclave.operation import (
    ZERO_ID,
    Operation,
    OperationRequest,
    OperationStatus,
    OperationType,
    RefUpdate,
    Source,
)
from enclave.people import Environment, Role, User
from enclave.pushed_config import PushedConfig
from enclave.store import Store
from enclave.store.leases import Ending, Lease
from enclave.store.pushes import PushRequest
from enclave.tokens import issue_token
from testbed.processes import wait_until
from toolbelt.deploying import read_variables
from toolbelt.errors import ToolbeltError
from toolbelt.remotes import app_of_url
from toolbelt.tokens import read_lifetime

A = "a" * 40


@pytest.fixture
def user(store: Store) -> User:
    return store.people.create_user("me@example.com", "correct horse")


@pytest.fixture
def environment(store: Store, user: User) -> Environment:
    environment = store.apps.create_environment("prod")
    store.people.set_role(user, environment.id, Role.ADMIN)
    return environment


@pytest.fixture
def app(store: Store, environment: Environment) -> App:
    return store.apps.create(environment, "web")


@pytest.fixture
def stranger(served: str, tmp_path: Path) -> Terminal:
    """The shell of someone who has not logged in."""
    home = tmp_path / "home"
    home.mkdir()
    return Terminal(home, served)


@pytest.fixture
def me(stranger: Terminal, store: Store, user: User, served: str) -> Terminal:
    token = issue_token(store, user, url=served, seconds=60, scope="manage").access_token
    stranger.environment["APTIBLE_ACCESS_TOKEN"] = token
    return stranger


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def take(store: Store, app: App) -> Lease:
    """Wait for an operation of the app, and take it as a worker would."""
    taken: list[Lease] = []

    def try_it() -> bool:
        lease = store.leases.take(app.id, holder="w1", seconds=60)
        if lease is not None:
            taken.append(lease)
        return bool(taken)

    wait_until(try_it, seconds=SECONDS, what="no operation was queued")
    return taken[0]


def work(store: Store, app: App, lines: list[str], *, succeeds: bool = True) -> Changes:
    """Be the worker for one operation: write the log, and do what it asks. Returns its changes."""
    lease = take(store, app)
    operation = store.operations.operation(lease.operation_id)
    changes = store.operations.changes(operation.id)
    store.logs.append(lease, lines)
    state = changed_state(store.apps.app(app.id).state, operation.request, changes)
    secrets = changed_secrets(store.apps.secrets(app.id), changes)
    status = OperationStatus.SUCCEEDED if succeeds else OperationStatus.FAILED
    store.leases.finish(lease, Ending(status, "", state=state, secrets=secrets))
    return changes


def put_live(store: Store, app: App, variables: dict[str, str] | None = None) -> None:
    request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
    store.operations.submit(request, Changes())
    state = AppState("nginx", services=(Service("web", None, 1), Service("job", "run it", 2)))
    secrets = AppSecrets(variables or {})
    store.leases.finish(
        take(store, app),
        Ending(OperationStatus.SUCCEEDED, "", state=state, secrets=secrets),
    )


class TestLogin:
    def test_the_token_is_kept_for_this_server_alone(
        self, stranger: Terminal, served: str, app: App
    ) -> None:
        kept = stranger.directory / ".aptible" / "tokens.json"
        kept.parent.mkdir()
        kept.write_text('{"https://auth.example.com": "other"}')
        said = stranger.says("login --email me@example.com --password 'correct horse'")
        assert said == f"Token written to {kept}\n"
        tokens = json.loads(kept.read_text())
        assert tokens.keys() == {"https://auth.example.com", served}
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert list(kept.parent.iterdir()) == [kept]
        assert stranger.says("apps") == f"=== prod\n{app.handle}\n"

    @pytest.mark.usefixtures("user")
    def test_prompts(self, stranger: Terminal) -> None:
        done = stranger.run("login", stdin="me@example.com\ncorrect horse\n")
        assert done.returncode == 0, done.stderr
        assert "correct horse" not in done.stdout + done.stderr

    def test_another_server_may_give_the_tokens(
        self, stranger: Terminal, served: str, app: App
    ) -> None:
        stranger.environment["APTIBLE_AUTH_ROOT_URL"] = served + "/"
        stranger.says("login --email me@example.com --password 'correct horse' --lifetime 12h")
        assert app.handle in stranger.says("apps")

    def test_wrong_credentials(self, stranger: Terminal) -> None:
        assert stranger.refuses("login --email me@example.com --password wrong") == (
            "Could not authenticate with given credentials: The email or the password is wrong."
        )
        assert not (stranger.directory / ".aptible").exists()

    def test_without(self, stranger: Terminal) -> None:
        assert stranger.refuses("apps") == (
            "Could not read token: please run aptible login or set APTIBLE_ACCESS_TOKEN"
        )
        stranger.environment["APTIBLE_ACCESS_TOKEN"] = "x.y.z"
        assert "run aptible login" in stranger.refuses("apps")

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("12h", 43200), ("7d", 604800), ("1w", 604800), ("90m", 5400), ("30s", 30), ("60", 60)],
    )
    def test_lifetimes(self, text: str, seconds: int) -> None:
        assert read_lifetime(text) == seconds

    @pytest.mark.parametrize("text", ["", "x", "0d", "-1d", "1.5h", "1 year"])
    def test_no_lifetimes(self, text: str) -> None:
        with pytest.raises(ToolbeltError, match="Invalid token lifetime"):
            read_lifetime(text)


class TestListings:
    def test_apps(self, me: Terminal, store: Store, environment: Environment, user: User) -> None:
        second = store.apps.create_environment("dev")
        store.people.set_role(user, second.id, Role.READ)
        for number in range(3):
            store.apps.create(environment, f"app-{number}")
        assert me.says("apps") == "=== prod\napp-0\napp-1\napp-2\n\n=== dev\n"
        assert me.says("apps --env dev") == "=== dev\n"
        assert me.refuses("apps --environment nope").startswith("Could not find environment nope")
        me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
        listed = json.loads(me.says("apps"))
        assert [each["handle"] for each in listed] == ["app-0", "app-1", "app-2"]
        assert listed[0]["environment"]["handle"] == "prod"
        assert listed[0]["git_remote"].endswith("/prod/app-0.git")

    def test_creating_one(self, me: Terminal, store: Store, environment: Environment) -> None:
        done = me.run("apps:create web")
        assert done.returncode == 0, done.stderr
        assert done.stderr == "App web created!\n"
        assert done.stdout == "Git Remote: ssh://git@localhost:8022/prod/web.git\n"
        assert store.apps.app_by_handle("prod", "web").environment_id == environment.id
        assert "exists already" in me.refuses("apps:create web --environment prod")
        assert "lower case" in me.refuses("apps:create Web")

    def test_renaming_one(self, me: Terminal, store: Store, app: App) -> None:
        done = me.run("apps:rename web shop.web --environment prod")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "ssh://git@localhost:8022/prod/shop.web.git\n"
        assert "App web is shop.web now." in done.stderr
        assert store.apps.app_by_handle("prod", "shop.web").id == app.id
        assert me.refuses("apps:rename web other").startswith("Could not find app web")
        assert "lower case" in me.refuses("apps:rename shop.web Web")

    def test_creating_one_somewhere(
        self, me: Terminal, store: Store, environment: Environment, user: User
    ) -> None:
        dev = store.apps.create_environment("dev")
        store.people.set_role(user, dev.id, Role.READ)
        assert me.refuses("apps:create web") == (
            "Multiple environments available, please specify with --environment"
        )
        assert "role admin" in me.refuses("apps:create web --environment dev")
        me.says(f"apps:create web --env {environment.handle}")

    def test_services(self, me: Terminal, store: Store, app: App) -> None:
        assert me.says("services --app web") == ""
        put_live(store, app)
        said = me.says("services --app web")
        assert "Service: web\n" in said
        assert "Command: CMD\n" in said
        assert "Command: run it\nContainer Count: 2\n" in said
        me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
        assert [each["command"] for each in json.loads(me.says("services --app web"))] == [
            "CMD",
            "run it",
        ]

    def test_config(self, me: Terminal, store: Store, app: App) -> None:
        assert me.says("config --app web") == ""
        variables = {"B": "two words", "A": "it's\n"}
        put_live(store, app, variables)
        said = me.says("config --app web")
        assert dict(word.split("=", 1) for word in shlex.split(said)) == variables
        assert said.startswith("A=")
        me.environment["APTIBLE_OUTPUT_FORMAT"] = "json"
        listed = json.loads(me.says("config --app web"))
        assert {each["key"]: each["value"] for each in listed} == variables


class TestWhichApp:
    @pytest.mark.parametrize(
        "url",
        [
            "git@beta.example.com:prod/web.git",
            "beta.example.com:prod/web",
            "ssh://git@localhost:8022/prod/web.git",
            "http://localhost:8080/prod/web.git",
            "https://me:token@example.com/prod/web.git/",
            "git@[::1]:prod/web.git",
        ],
    )
    def test_remotes(self, url: str) -> None:
        assert app_of_url(url) == ("prod", "web")

    @pytest.mark.parametrize(
        "url", ["", "web", "/srv/prod/web.git", "https://web.git", "https://h/web.git", "h:web.git"]
    )
    def test_no_remotes(self, url: str) -> None:
        assert app_of_url(url) is None

    def test_the_one_of_the_remote(self, me: Terminal, store: Store, app: App) -> None:
        put_live(store, app, {"A": "1"})
        asked = me.refuses("config")
        assert asked == (
            "Could not find app in current working directory, please specify with --app"
        )
        for command in (
            ["git", "init", "-q"],
            ["git", "remote", "add", "aptible", "git@example.com:prod/web.git"],
            ["git", "remote", "add", "other", "http://example.com/prod/nope.git"],
        ):
            subprocess.run(command, cwd=me.directory, check=True)
        assert me.says("config") == "A=1\n"
        assert me.refuses("config -r other") == (
            "Could not find app nope in environment prod (options derived from git remote other)"
        )
        me.environment["APTIBLE_REMOTE"] = "other"
        assert "Could not find app nope" in me.refuses("config")
        assert me.says("config --remote aptible") == "A=1\n"

    def test_unknown_and_ambiguous(self, me: Terminal, store: Store, user: User, app: App) -> None:
        assert me.refuses("config --app nope") == (
            "Could not find app nope in any environment (options provided via CLI arguments)"
        )
        assert me.refuses("config --app nope --environment prod") == (
            "Could not find app nope in environment prod (options provided via CLI arguments)"
        )
        assert me.refuses("config --app web --environment nope") == (
            "Could not find environment nope (options provided via CLI arguments)"
        )
        second = store.apps.create_environment("dev")
        store.people.set_role(user, second.id, Role.ADMIN)
        store.apps.create(second, app.handle)
        assert me.refuses("config --app web") == (
            "Multiple apps named web exist, please specify with --environment"
        )
        assert me.says("config --app web --environment dev") == ""


class TestDeploy:
    def test_every_flag(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        worker = pool.submit(work, store, app, ["INFO: Authorizing...", "ünï", "INFO: done"])
        done = me.run(
            "deploy --app web --environment prod --docker-image registry.example.com/web:1 "
            "--private-registry-username robot --private-registry-password hunter2 "
            "--private-registry-email me@example.com --container-count 2 --no-git-detach "
            "A=1 B= 'C=x=y z'"
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "INFO: Authorizing...\nünï\nINFO: done\n"
        assert done.stderr.startswith("Deploying app...")
        assert "hunter2" not in done.stdout + done.stderr
        assert worker.result() == Changes(
            image="registry.example.com/web:1",
            credentials=RegistryCredentials("registry.example.com", "robot", "hunter2"),
            environment={"A": "1", "B": "", "C": "x=y z"},
            container_count=2,
        )

    def test_a_failure_is_the_exit_status(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        pool.submit(work, store, app, ["ERROR: no"], succeeds=False)
        done = me.run("deploy --app web --docker-image nginx")
        assert (done.returncode, done.stdout) == (1, "ERROR: no\n")
        assert done.stderr.splitlines()[-1] == "Operation #1 failed."

    def test_the_password_from_a_pipe(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        worker = pool.submit(work, store, app, [])
        done = me.run(
            "deploy --app web --docker-image nginx "
            "--private-registry-username robot --private-registry-password -",
            stdin="hunter2\n",
        )
        assert done.returncode == 0, done.stderr
        credentials = worker.result().credentials
        assert credentials is not None
        assert credentials.password == "hunter2"

    def test_removing_image_and_credentials(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        put_live(store, app)
        config = PushedConfig(A, "web: run", dockerfile=True)
        moved = RefUpdate("refs/heads/feature", ZERO_ID, A, config)
        store.pushes.accept(PushRequest("p1", app.id, False, (moved,)))
        worker = pool.submit(work, store, app, [])
        done = me.run(
            "deploy --app web --docker-image '' --git-commitish feature "
            "--private-registry-username '' --private-registry-password ''"
        )
        assert done.returncode == 0, done.stderr
        assert worker.result() == Changes(image="", forget_credentials=True)
        request = store.operations.operations(app.id, newest=1)[0].request
        assert (request.source, request.pushed) == (Source.COMMIT, config)

    def test_detaching(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        put_live(store, app)
        pool.submit(work, store, app, [])
        assert me.run("deploy --app web --git-detach").returncode == 0
        assert store.operations.operations(app.id, newest=1)[0].request.source is Source.DETACH

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--git-commitish x --git-detach", "The options --git-commitish and --git-detach"),
            ("", "You need to deploy either from git or a Docker image"),
            ("A=1", "You need to deploy either from git or a Docker image"),
            ("--docker-image ''", "You need to deploy either from git or a Docker image"),
            ("--git-detach", "You need to deploy either from git or a Docker image"),
            ("--docker-imgae nginx", "Invalid argument: --docker-imgae"),
            ("--docker-imgae=nginx", "Invalid argument: --docker-imgae"),
            ("-x", "Invalid argument: -x"),
            ("--docker-image nginx A", "Invalid argument: A"),
            ("--docker-image nginx =A", "Invalid argument: =A"),
            ("--docker-image nginx --private-registry-username x", "go together"),
            ("--docker-image nginx --private-registry-username ''", "go together"),
            ("--docker-image nginx --private-registry-password x", "go together"),
            ("--docker-image nginx --private-registry-password -", "No registry password"),
            ("--docker-image nginx APTIBLE_DOCKER_IMAGE=x", "are deprecated. Use the options"),
            ("--docker-image Nginx", "must be lower case"),
            ("--git-commitish nope", "'nope' is no branch, tag or commit"),
            ("--docker-image nginx --container-count 5000", "from 0 to 1000"),
        ],
    )
    def test_what_is_refused(
        self, me: Terminal, store: Store, app: App, options: str, words: str
    ) -> None:
        assert words in me.refuses(f"deploy --app web {options}")
        assert store.operations.unfinished(app.id) == []

    @pytest.mark.parametrize(
        "command", ["deploy --container-count many", "nope", "operation:cancel x", "apps:create"]
    )
    def test_what_is_mistyped(self, me: Terminal, command: str) -> None:
        done = me.run(command)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) <= 2

    def test_an_image_that_waits_counts(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
        store.operations.submit(request, Changes(image="nginx"))
        both = pool.submit(lambda: [work(store, app, ["one"]), work(store, app, ["two"])])
        # The first may have ended before the command asks: either way the app can be deployed.
        assert me.says("deploy --app web") == "two\n"
        both.result()

    def test_variables(self) -> None:
        assert read_variables(["A=1", "A=2", "B==", "c.d="]) == {"A": "2", "B": "=", "c.d": ""}


class Wire:
    """A TCP forwarder that can be cut and mended: the network between command and server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._whole = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole = False
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def answers_that_break(most: int) -> Iterator[Iterator[int]]:
    """Let the API break off its first answers about an operation; yields their count."""
    answers, show = count(1), operations.show

    def show_or_break(caller: Call, operation: Operation) -> Resource:
        if next(answers) <= most:
            raise RuntimeError("after it was queued")
        return show(caller, operation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "show", show_or_break)
        yield answers


@pytest.fixture
def wire(me: Terminal, served: str) -> Iterator[Wire]:
    wire = Wire(int(served.rpartition(":")[2]))
    me.environment["APTIBLE_API_ROOT_URL"] = wire.url
    yield wire
    wire.close()


class TestFollowing:
    def test_a_lost_connection_loses_and_doubles_no_line(
        self, me: Terminal, store: Store, app: App, wire: Wire
    ) -> None:
        command = me.start("deploy --app web --docker-image nginx")
        assert command.stdout is not None
        lease = take(store, app)
        seen = []
        for round_ in range(3):
            store.logs.append(lease, [f"{round_} first", f"{round_} second"])
            seen += [command.stdout.readline(), command.stdout.readline()]
            connections = wire.connections
            wire.cut()
            store.logs.append(lease, [f"{round_} unseen"])
            self._tried_again(wire, connections)
            wire.mend()
            seen.append(command.stdout.readline())
        store.leases.finish(lease, Ending(OperationStatus.SUCCEEDED, "", state=AppState()))
        rest, complaints = command.communicate(timeout=SECONDS)
        assert command.returncode == 0, complaints
        assert rest == ""
        assert "".join(seen).splitlines() == [
            f"{round_} {which}" for round_ in range(3) for which in ("first", "second", "unseen")
        ]
        assert complaints.count("The connection was lost") == 3
        assert complaints.count("Connected again.") == 3

    def test_an_operation_that_ends_meanwhile_is_told(
        self, me: Terminal, store: Store, app: App, wire: Wire
    ) -> None:
        command = me.start("deploy --app web --docker-image nginx")
        assert command.stdout is not None
        lease = take(store, app)
        store.logs.append(lease, ["one"])
        command.stdout.readline()
        connections = wire.connections
        wire.cut()
        store.leases.finish(lease, Ending(OperationStatus.FAILED, "no"))
        self._tried_again(wire, connections)
        wire.mend()
        command.communicate(timeout=SECONDS)
        assert command.returncode == 1

    def test_an_operation_is_asked_for_again_and_made_once(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        with answers_that_break(1):
            deploying = pool.submit(me.run, "deploy --app web --docker-image nginx")
            work(store, app, ["one"])
            done = deploying.result()
        assert (done.returncode, done.stdout) == (0, "one\n")
        assert store.operations.count(app.id) == 1

    def test_one_whose_answers_never_come_is_made_once_too(
        self, me: Terminal, store: Store, app: App
    ) -> None:
        with answers_that_break(99) as answers:
            said = me.refuses("deploy --app web --docker-image nginx")
        assert "Something went wrong here" in said
        assert next(answers) > 3
        assert store.operations.count(app.id) == 1

    @pytest.mark.usefixtures("environment")
    def test_no_other_post_is_repeated(
        self, me: Terminal, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        created: list[int] = []
        create = store.apps.create

        def create_and_break(environment: Environment, handle: str, *, actor: Actor) -> App:
            created.append(create(environment, handle, actor=actor).id)
            raise RuntimeError("after it was created")

        monkeypatch.setattr(store.apps, "create", create_and_break)
        assert "Something went wrong here" in me.refuses("apps:create other --environment prod")
        assert len(created) == 1

    def test_ctrl_c_says_how_to_go_on(self, me: Terminal, store: Store, app: App) -> None:
        command = me.start("deploy --app web --docker-image nginx")
        assert command.stdout is not None
        lease = take(store, app)
        store.logs.append(lease, ["one"])
        assert command.stdout.readline() == "one\n"
        command.send_signal(signal.SIGINT)
        _, complaints = command.communicate(timeout=SECONDS)
        assert command.returncode == 130
        assert "aptible operation:follow 1" in complaints
        assert "aptible operation:cancel 1" in complaints
        assert "Traceback" not in complaints
        assert store.operations.operation(1).status is OperationStatus.RUNNING

    def test_following_one_again(
        self, me: Terminal, store: Store, app: App, pool: ThreadPoolExecutor
    ) -> None:
        request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
        operation = store.operations.submit(request, Changes(image="nginx"))
        following: Future[subprocess.CompletedProcess[str]] = pool.submit(
            me.run, f"operation:follow {operation.id}"
        )
        work(store, app, ["one", "two"])
        done = following.result()
        assert (done.returncode, done.stdout) == (0, "one\ntwo\n")
        assert me.says(f"operation:logs {operation.id}") == "one\ntwo\n"

    def test_cancelling(self, me: Terminal, store: Store, app: App) -> None:
        request = OperationRequest(app.id, OperationType.DEPLOY, 1, "me@example.com")
        first = store.operations.submit(request, Changes(image="nginx"))
        second = store.operations.submit(request, Changes(image="nginx"))
        lease = take(store, app)
        for operation, words in ((first, "next safe point"), (second, "It is cancelled.")):
            done = me.run(f"operation:cancel {operation.id}")
            assert done.returncode == 0
            assert f"Requesting cancellation on operation #{operation.id}" in done.stderr
            assert words in done.stderr
        with pytest.raises(OperationCancelled):
            store.leases.finish(lease, Ending(OperationStatus.SUCCEEDED, ""))
        store.leases.finish(lease, Ending(OperationStatus.FAILED, "", cancelled=True))

        third = store.operations.submit(request, Changes(image="nginx"))
        store.leases.finish(take(store, app), Ending(OperationStatus.SUCCEEDED, ""))
        refusal = me.refuses(f"operation:cancel {third.id}")
        assert "is past its point of no return: it succeeded" in refusal

    @pytest.mark.parametrize("command", ["cancel", "logs", "follow"])
    def test_unknown_operations(self, me: Terminal, command: str) -> None:
        assert me.refuses(f"operation:{command} 77") == "Operation #77 not found"

    def _tried_again(self, wire: Wire, connections: int) -> None:
        wait_until(
            lambda: wire.connections > connections,
            seconds=SECONDS,
            what="the command did not try again",
        )


class TestItself:
    def test_version_and_help(self, stranger: Terminal) -> None:
        assert stranger.says("version").startswith("aptible (Enclave)")
        said = stranger.says("help")
        assert said == stranger.says("--help")
        for command in ("login", "apps:create", "deploy", "operation:cancel"):
            assert f"  {command} " in said
        described = stranger.says("help deploy")
        assert "aptible deploy [OPTIONS] [VAR=VALUE]..." in described
        assert "--git-commitish" in described
        assert "Could not find command x" in stranger.refuses("help x")

    def test_no_server(self, me: Terminal) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        me.environment["APTIBLE_API_ROOT_URL"] = f"http://127.0.0.1:{port}"
        assert me.refuses("apps").startswith(f"Could not reach http://127.0.0.1:{port}")
        me.environment["APTIBLE_API_ROOT_URL"] = "localhost"
        assert "is not the address of a server" in me.refuses("apps")

    def test_it_starts_without_what_is_slow(self, stranger: Terminal) -> None:
        script = "import sys, toolbelt.command; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", script],
            env=stranger.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert "click" in loaded
        assert not {"httpx", "rich", "asyncio", "enclave", "pydantic"} & set(loaded)
