"""Each limit of a push and of connections: a sentence that says it, and nothing left behind."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import ENVIRONMENT
from dulwich.protocol import pkt_line

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.person import Finished, Person, Repository
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

APP = f"{ENVIRONMENT}/small"
PACK = b"PACK\0\0\0\2\0\0\0\1"

TIGHT = {
    "PUSH_OBJECTS": 50,
    "PUSH_OBJECT_BYTES": 16 << 20,
    "PUSH_COMMANDS": 20,
    "PUSH_COMMAND_BYTES": 2_000,
    "PUSH_OPTIONS": 2,
    "PUSH_OPTION_BYTES": 100,
    "PUSH_IDLE_SECONDS": 3,
    "PUSH_SLOTS": 4,
    "PUSH_SLOTS_A_USER": 3,
    "CONNECTIONS": 40,
    "CONNECTIONS_A_SOURCE": 10,
    "LOGIN_SECONDS": 2,
    "IDLE_SECONDS": 2,
    "LOGIN_FAILURES": 3,
    "REQUEST_HEAD_BYTES": 8_000,
    "PUSH_WAITING": 1,
}


@pytest.fixture(scope="module")
def tight(engine: PrivateEngine) -> Iterator[Installation]:
    """An installation whose every limit is low."""
    settings = {f"ENCLAVE_{name}": str(value) for name, value in TIGHT.items()}
    with Installation(engine.url, settings=settings) as installation:
        yield installation


@pytest.fixture(scope="module")
def bob(tight: Installation) -> Person:
    bob = tight.person("bob@example.com")
    tight.enclave("environment", "create", ENVIRONMENT, "--admin", bob.email)
    bob.log_in()
    bob.aptible("apps:create", "small", "--environment", ENVIRONMENT).check_returncode()
    return bob


@pytest.fixture(params=["ssh", "http"])
def repository(request: pytest.FixtureRequest, bob: Person) -> Repository:
    return bob.repository(APP, remote=bob.http_remote(APP) if request.param == "http" else None)


def _store(tight: Installation) -> Path:
    return tight.data / "repositories" / f"{tight.app_id(APP)}.git" / "objects"


def _left(tight: Installation) -> list[Path]:
    store = _store(tight)
    return sorted([*store.glob("incoming-*"), *store.glob("pack/tmp_*")])


def _refused(finished: Finished, tight: Installation, *words: str) -> None:
    assert finished.returncode != 0, finished.stderr
    for each in words:
        assert each in finished.stderr, finished.stderr
    assert finished.stderr.count("internal error") == 0
    assert _left(tight) == []


def _many_files(repository: Repository, count: int) -> None:
    for number in range(count):
        (repository.path / f"file-{number}").write_text(f"{number}\n")


class TestAPush:
    def test_of_too_many_objects(self, repository: Repository, tight: Installation) -> None:
        _many_files(repository, 60)
        repository.commit()
        refused = repository.push("master:topic")
        _refused(refused, tight, "a pack of 62 objects: at most 50 are taken", "[remote rejected]")

    def test_of_an_object_too_large(self, repository: Repository, tight: Installation) -> None:
        with (repository.path / "zeros").open("wb") as file:
            file.truncate((16 << 20) + 1)
        repository.commit()
        refused = repository.push("master:topic")
        _refused(refused, tight, "an object of 16777217 bytes: at most 16777216 are taken")

    def test_of_too_many_refs(self, repository: Repository, tight: Installation) -> None:
        repository.commit(a="1")
        refused = repository.push(*(f"master:refs/heads/t{n}" for n in range(21)))
        _refused(refused, tight, "more than 20 refs in one push: push them in parts")

    def test_of_refs_too_long(self, repository: Repository, tight: Installation) -> None:
        repository.commit(a="1")
        refused = repository.push(*(f"master:refs/heads/{'x' * 200}{n}" for n in range(9)))
        _refused(refused, tight, "take more than 2000 bytes: push them in parts")

    @pytest.mark.parametrize("options", [["x"] * 3, ["x" * 60] * 2])
    def test_of_too_many_options(
        self, options: list[str], repository: Repository, tight: Installation
    ) -> None:
        repository.commit(a="1")
        words = [word for option in options for word in ("-o", option)]
        refused = repository.git("push", *words, "aptible", "master:topic")
        _refused(refused, tight, "at most 2 push options of 100 bytes together are taken")

    def test_within_all_of_them(self, repository: Repository, tight: Installation) -> None:
        _many_files(repository, 45)
        repository.commit()
        accepted = repository.git("push", "-o", "x", "--force", "aptible", "master:topic")
        assert accepted.returncode == 0, accepted.stderr
        assert _left(tight) == []


def _head(person: Person, extra: str = "") -> bytes:
    credentials = base64.b64encode(f"x:{person.token()}".encode()).decode()
    lines = [
        f"POST /{APP}.git/git-receive-pack HTTP/1.1",
        "Host: localhost",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/x-git-receive-pack-request",
        extra or "Content-Length: 100000",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _command(ref: str = "refs/heads/slow") -> bytes:
    return pkt_line(f"{'0' * 40} {'1' * 40} {ref}\0 report-status".encode())


@contextmanager
def _connection(port: int, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20, (source, 0)) as connection:
        connection.settimeout(20)
        yield connection


def _rest(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    try:
        return b"".join(iter(lambda: connection.recv(4096), b""))
    except ConnectionResetError:
        return b""


def _trickle(connection: socket.socket, data: bytes, done: threading.Event) -> bytes:
    """Send a byte a tenth of a second; return what the server says to that."""
    for byte in data:
        if done.wait(0.1):
            break
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            break
    return _rest(connection)


class TestASlowClient:
    def test_that_says_nothing(self, tight: Installation) -> None:
        for port in (tight.http_port, tight.ssh_port):
            began = time.monotonic()
            with _connection(port) as connection:
                _rest(connection)
            assert time.monotonic() - began < 10

    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX: ", b"POST /"])
    def test_that_trickles_a_head_is_told(self, data: bytes, tight: Installation) -> None:
        with _connection(tight.http_port) as connection:
            said = _trickle(connection, data + b"x" * 200, threading.Event())
        assert said.startswith(b"HTTP/1.1 408")

    def test_that_trickles_a_body_of_the_api(self, tight: Installation) -> None:
        head = b"POST /tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n"
        began = time.monotonic()
        with _connection(tight.http_port) as connection:
            connection.sendall(head)
            _trickle(connection, b"x" * 200, threading.Event())
        assert time.monotonic() - began < 15

    def test_that_trickles_its_commands(self, bob: Person, tight: Installation) -> None:
        """Each byte comes in time; all of them together have three seconds."""
        with _connection(tight.http_port) as connection:
            connection.sendall(_head(bob))
            began = time.monotonic()
            _trickle(connection, _command() * 3, threading.Event())
        assert time.monotonic() - began < 15
        assert _left(tight) == []

    def test_that_falls_silent_in_mid_pack(self, bob: Person, tight: Installation) -> None:
        with _connection(tight.http_port) as connection:
            connection.sendall(_head(bob) + _command() + b"0000" + PACK + b"x")
            said = connection.recv(4096)
            while b"ng " not in said:
                said += connection.recv(4096)
        assert b"ng refs/heads/slow unpacker error: nothing came for 3s" in said
        assert _left(tight) == []

    def test_that_trickles_a_pack_makes_room_when_others_want_it(
        self, bob: Person, tight: Installation
    ) -> None:
        """All places are taken by clients of one byte a tenth of a second; a push goes through."""
        done = threading.Event()
        answers: list[bytes] = []
        quick = bob.repository(APP)
        quick.commit(a="1")
        with ExitStack() as open_:
            threads = []
            for _ in range(3):
                connection = open_.enter_context(_connection(tight.http_port))
                connection.sendall(_head(bob) + _command() + b"0000" + PACK)

                def send(connection: socket.socket = connection) -> None:
                    answers.append(_trickle(connection, b"x" * 600, done))

                threads.append(threading.Thread(target=send))
                threads[-1].start()
            wait_until(
                lambda: len(_incoming_with_git(tight)) == 3, seconds=10, what="no pack came in"
            )
            time.sleep(2.1)  # slots.py: nobody is slow before
            pushed = quick.git("push", "--force", "aptible", "master:topic")
            done.set()
            for connection_thread in threads:
                connection_thread.join(30)
        assert pushed.returncode == 0, pushed.stderr
        assert sum(b"less than 4096 bytes a second, while others" in said for said in answers) == 1
        wait_until(lambda: _left(tight) == [], seconds=20, what="something was left")

    def test_that_never_reads_its_answers_keeps_nobody_out(
        self, bob: Person, tight: Installation
    ) -> None:
        """It asked without a token, so it has proved nothing, however well it is answered."""
        repository = bob.repository(APP)
        repository.commit(a="1")
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
        with ExitStack() as crowd:
            for _ in range(TIGHT["CONNECTIONS_A_SOURCE"]):
                connection = crowd.enter_context(_connection(tight.http_port))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(asked)
            time.sleep(0.5)
            pushed = repository.git("push", "--force", bob.http_remote(APP), "master:topic")
            assert pushed.returncode == 0, pushed.stderr

    def test_whose_head_has_no_end(self, tight: Installation) -> None:
        with _connection(tight.http_port) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 9_000)
            said = _rest(connection)
        assert said.startswith(b"HTTP/1.1 431 a request's head has at most 8000 bytes")


def _incoming_with_git(tight: Installation) -> list[Path]:
    return list(_store(tight).glob("incoming-*/pack/tmp_pack_*"))


def test_a_push_that_may_not_wait_is_told_nothing_untrue(
    bob: Person, images: Images, registry: PrivateRegistry
) -> None:
    """One may wait here. The second, of the same commit, is neither taken nor refused."""
    bob.aptible("apps:create", "live", "--environment", ENVIRONMENT).check_returncode()
    repository = bob.repository(f"{ENVIRONMENT}/live")
    deploy = ["deploy", "--app", "live", "--docker-image", images.web("1")]
    deploy += ["--private-registry-username", registry.username]
    bob.aptible(*deploy, "--private-registry-password", registry.password).check_returncode()
    commit = repository.commit(
        Procfile="web: exec serve\n", _aptible_yml="before_release: echo begun; sleep 5\n"
    )
    first = bob.start("git", "push", "aptible", "master", cwd=repository.path)
    assert first.stdout is not None
    assert any("remote: begun" in line for line in first.stdout)

    second = repository.push()

    assert second.returncode != 0
    assert "the deploy goes on without you" in second.stderr
    assert "rejected" not in second.stderr
    assert first.wait(60) == 0
    assert repository.remote_refs() == {"refs/heads/master": commit}


class TestConnections:
    def test_more_than_all_places_together_from_many_addresses(
        self, bob: Person, tight: Installation
    ) -> None:
        with ExitStack() as crowd:
            for number in range(TIGHT["CONNECTIONS"] + 5):
                source = f"127.0.3.{number}"
                crowd.enter_context(_connection(tight.http_port, source))
            assert bob.run(*_ssh(bob)).returncode == 0
            busy = []
            for number in range(TIGHT["CONNECTIONS"]):
                connection = crowd.enter_context(_connection(tight.http_port, f"127.0.4.{number}"))
                connection.sendall(_head(bob) + _command()[:50])
                busy.append(connection)
            time.sleep(1.0)
            with _connection(tight.http_port, "127.0.5.1") as late:
                said = _rest(late)
            assert said.startswith(b"HTTP/1.1 503 too many connections at a time")

    def test_a_crowd_that_proved_nothing_keeps_nobody_out(
        self, bob: Person, tight: Installation
    ) -> None:
        """Of the same address, and more than there are places."""
        repository = bob.repository(APP)
        repository.commit(a="1")
        with ExitStack() as crowd:
            for number in range(60):
                port = tight.ssh_port if number % 2 else tight.http_port
                crowd.enter_context(_connection(port))
            for remote in (bob.remote(APP), bob.http_remote(APP)):
                pushed = repository.git("push", "--force", remote, "master:topic")
                assert pushed.returncode == 0, pushed.stderr

    def test_who_makes_room_is_told(self, tight: Installation) -> None:
        with _connection(tight.http_port, "127.0.0.9") as first, ExitStack() as crowd:
            for _ in range(TIGHT["CONNECTIONS_A_SOURCE"]):
                crowd.enter_context(_connection(tight.http_port, "127.0.0.9"))
            assert b"this connection made room for others" in _rest(first)

    def test_a_request_proves_nothing_for_the_next_one(
        self, bob: Person, tight: Installation
    ) -> None:
        """Kept alive behind an answer, a connection is one among the idle."""
        asked = _head(bob).replace(b"POST", b"GET", 1).replace(b"Content-Length: 100000\r\n", b"")
        asked = asked.replace(b"git-receive-pack HTTP", b"info/refs?service=git-receive-pack HTTP")
        with _connection(tight.http_port) as first, ExitStack() as crowd:
            first.sendall(asked)
            assert first.recv(4096).startswith(b"HTTP/1.1 200")
            for _ in range(TIGHT["CONNECTIONS_A_SOURCE"]):
                crowd.enter_context(_connection(tight.http_port))
            assert b"this connection made room for others" in _rest(first)

    def test_too_many_that_did_prove_something_are_refused_with_a_reason(
        self, bob: Person, tight: Installation
    ) -> None:
        with ExitStack() as busy:
            connections = []
            for _ in range(TIGHT["CONNECTIONS_A_SOURCE"]):
                connection = busy.enter_context(_connection(tight.http_port))
                connection.sendall(_head(bob) + _command()[:50])
                connections.append(connection)
            time.sleep(0.5)
            with _connection(tight.http_port) as late:
                said = _rest(late)
            assert said.startswith(b"HTTP/1.1 503 too many connections from your address")
            ssh = bob.run(*_ssh(bob))
            assert ssh.returncode == 255
            assert "too many connections from your address" in ssh.stderr
        wait_until(
            lambda: bob.run(*_ssh(bob)).returncode == 0, seconds=20, what="they kept their places"
        )

    def test_a_connection_on_which_nothing_runs_is_closed(
        self, bob: Person, tight: Installation
    ) -> None:
        began = time.monotonic()
        master = bob.start(*_ssh(bob, "-N"))
        said, _ = master.communicate(timeout=20)
        assert time.monotonic() - began < 15
        assert "nothing ran here for 2s" in said

    def test_failed_logins_from_one_address_close_the_door(
        self, bob: Person, tight: Installation
    ) -> None:
        wrong = bob.home / "wrong"
        bob.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong))
        program = [word.replace(f"{bob.home}/id_ed25519", str(wrong)) for word in _ssh(bob)]
        program[1:1] = ["-b", "127.0.0.20"]
        for _ in range(TIGHT["LOGIN_FAILURES"]):
            assert "Permission denied (publickey)" in bob.run(*program).stderr
        closed = bob.run(*program)
        assert "too many failed logins from your address: try again in" in closed.stderr
        url = f"{tight.url}/{APP}.git/info/refs?service=git-receive-pack"
        asked = bob.run(*("curl", "-si", "--interface", "127.0.0.20", "-u", "x:y", url))
        assert "HTTP/1.1 429" in asked.stdout
        assert "retry-after" in asked.stdout.lower()
        assert bob.run(*_ssh(bob)).returncode == 0  # from another address


def _ssh(person: Person, *options: str) -> list[str]:
    program = person.environment["GIT_SSH_COMMAND"].split()
    return [*program, *options, "-T", "-p", str(person.ssh_port), "git@localhost"]


def test_disk(engine: PrivateEngine) -> None:
    settings = {"ENCLAVE_FREE_DISK_BYTES": str(1 << 60)}
    with Installation(engine.url, settings=settings) as full:
        person = full.person("carl@example.com")
        full.enclave("environment", "create", ENVIRONMENT, "--admin", person.email)
        person.log_in()
        person.aptible("apps:create", "small", "--environment", ENVIRONMENT).check_returncode()
        remotes: list[Callable[[str], str]] = [person.remote, person.http_remote]
        for remote in remotes:
            repository = person.repository(APP, remote=remote(APP))
            repository.commit(a="1")
            _refused(repository.push("master:topic"), full, "the server's disk is almost full")
