"""What the SSH port gives: git to whoever signed, and nothing else to anyone (SPEC 2.11)."""

import asyncio
import socket
import subprocess
import time
from contextlib import AbstractAsyncContextManager

import asyncssh
import pytest
from asyncssh.packet import Boolean, String
from conftest import App

from testbed.installation import Installation
from testbed.person import Finished, Person
from testbed.processes import wait_until


@pytest.fixture(scope="session")
def bob(installation: Installation) -> Person:
    """A user with a key, and no environment."""
    return installation.person("bob@example.com")


def _ssh(person: Person, *options: str, command: str = "", key: str | None = None) -> Finished:
    program = person.environment["GIT_SSH_COMMAND"].split()
    if key is not None:
        program[program.index("-i") + 1] = key
    words = [command] if command else []
    return person.run(*program, *options, "-p", str(person.ssh_port), "git@localhost", *words)


class TestTheIdentity:
    """It is the key that signed. Offering somebody else's, which anyone can, is worth nothing."""

    def test_a_public_key_alone_is_not_enough(self, ann: Person, bob: Person) -> None:
        stolen = bob.home / "stolen"
        stolen.with_suffix(".pub").write_text(ann.public_key)
        (bob.home / "stolen").write_text(ann.public_key)  # ssh offers it, and cannot sign
        own = str(bob.home / "id_ed25519")
        greeted = _ssh(bob, "-T", "-i", own, key=str(stolen))
        assert "Hi bob@example.com!" in greeted.stdout
        alone = _ssh(bob, "-T", key=str(stolen))
        assert alone.returncode == 255
        assert "Permission denied (publickey)" in alone.stderr

    def test_offering_one_and_signing_with_another_is_being_the_other(
        self, ann: Person, bob: Person
    ) -> None:
        assert asyncio.run(_greeting(bob, _Switching(ann, bob))) == "Hi bob@example.com!"

    def test_a_question_right_behind_the_signature_changes_nothing(
        self, ann: Person, bob: Person
    ) -> None:
        """The server may be looking up the one key while it is asked about the other."""
        for _ in range(5):
            greeting = asyncio.run(_greeting(bob, _Switching(ann, bob, asks_again=True)))
            assert greeting in ("Hi bob@example.com!", "denied")

    def test_a_signature_by_another_key_is_none(self, ann: Person, bob: Person) -> None:
        assert asyncio.run(_greeting(bob, _Switching(ann, bob, forges=True))) == "denied"


class _Switching(asyncssh.SSHKeyPair):
    """Offers one person's public key, and signs with another's; or signs for the first one's."""

    def __init__(
        self, offered: Person, signing: Person, *, forges: bool = False, asks_again: bool = False
    ) -> None:
        self._offered = asyncssh.import_public_key(offered.public_key)
        self._own = asyncssh.read_private_key(str(signing.home / "id_ed25519"))
        algorithm = self._own.algorithm
        super().__init__(algorithm, algorithm, (algorithm,), algorithm, b"", b"")
        self._reads, self._forges, self._asks_again = 0, forges, asks_again
        self.connection: asyncssh.SSHClientConnection | None = None

    @property
    def public_data(self) -> bytes:  # type: ignore[override]
        """The question and its answer are about the one key, the rest is about the other."""
        self._reads += 1
        return (self._offered if self._forges or self._reads <= 2 else self._own).public_data

    @public_data.setter
    def public_data(self, _data: bytes) -> None:
        pass

    def sign(self, data: bytes, /) -> bytes:
        if self._asks_again:
            asyncio.get_running_loop().call_soon(self._ask_again)
        return self._own.sign(data, self._own.algorithm)

    def _ask_again(self) -> None:
        assert self.connection is not None
        words = [String(word) for word in ("git", "ssh-connection", "publickey")]
        key = String(self._offered.algorithm) + String(self._offered.public_data)
        self.connection.send_packet(50, b"".join(words) + Boolean(False) + key)


class _Client(asyncssh.SSHClient):
    def __init__(self, keys: _Switching) -> None:
        self._keys: list[_Switching] = [keys]

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._keys[0].connection = conn

    def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:  # type: ignore[override]
        return self._keys.pop() if self._keys else None


async def _greeting(who: Person, keys: _Switching) -> str:
    """Log in, and return how one is greeted; ``denied`` if one is not."""
    try:
        async with asyncio.timeout(20):
            connection, _ = await asyncssh.create_connection(
                lambda: _Client(keys),
                *("127.0.0.1", who.ssh_port),
                username="git",
                known_hosts=None,
                client_keys=None,
                agent_path=None,
                config=None,
                preferred_auth="publickey",
            )
            async with connection:
                answer = await connection.run(check=False, stdin=asyncssh.DEVNULL)
    except (asyncssh.Error, ConnectionError):
        return "denied"
    return str(answer.stdout).partition(" Welcome")[0]


class TestNothingElse:
    def test_no_file_transfer(self, ann: Person) -> None:
        options = ["-P" if word == "-p" else word for word in ("-p", str(ann.ssh_port))]
        program = ann.environment["GIT_SSH_COMMAND"].split()[1:]
        for tool in ("sftp", "scp"):
            asked = ann.run(
                *(tool, *program, *options),
                *(["git@localhost"] if tool == "sftp" else ["git@localhost:/etc/passwd", "x"]),
            )
            assert asked.returncode != 0
            assert not (ann.home / "x").exists()

    @pytest.mark.parametrize(
        ("request_", "data"),
        [
            (b"pty-req", String("xterm") + b"\0" * 16 + String(b"")),
            (b"subsystem", String("sftp")),
            (b"subsystem", String("netconf")),
            (b"x11-req", Boolean(False) + String("MIT-MAGIC-COOKIE-1") + String("00") + b"\0" * 4),
            (b"auth-agent-req@openssh.com", b""),
            (b"nonsense@example.com", b""),
        ],
        ids=["terminal", "sftp", "netconf", "x11", "agent", "nonsense"],
    )
    def test_a_session_has_no(self, request_: bytes, data: bytes, ann: Person) -> None:
        async def ask() -> bool:
            async with _connected(ann) as connection:
                loop = asyncio.get_running_loop()
                channel: asyncssh.SSHClientChannel[bytes] = asyncssh.SSHClientChannel(
                    connection, loop, "strict", None, "strict", 1 << 16, 1 << 15
                )
                await channel._open(b"session")
                channel._session = asyncssh.SSHClientSession()
                return bool(await channel._make_request(request_, data))

        assert asyncio.run(ask()) is False

    def test_a_port_behind_it_is_not_reached(self, ann: Person) -> None:
        with socket.create_server(("127.0.0.1", 0)) as behind:
            port = behind.getsockname()[1]
            asked = _ssh(ann, "-T", "-W", f"127.0.0.1:{port}")
            assert asked.returncode != 0
            behind.setblocking(False)
            with pytest.raises(BlockingIOError):
                behind.accept()

    def test_the_client_s_environment_means_nothing(self, app: App) -> None:
        """Not even GIT_PROTOCOL: answers are of version 0. GIT_TRACE would write files."""
        trace = app.owner.home / "trace"
        set_ = " ".join(
            f"{name}={value}"
            for name, value in {
                "GIT_PROTOCOL": "version=2",
                "GIT_TRACE": trace,
                "GIT_DIR": "/etc",
                "LD_PRELOAD": "/nonexistent.so",
            }.items()
        )
        app.repository.commit(a="1")
        assert app.repository.push("master:topic").returncode == 0
        asked = _ssh(
            app.owner, "-T", "-o", f"SetEnv={set_}", command=f"git-upload-pack '{app.name}.git'"
        )
        assert "refs/heads/topic" in asked.stdout
        assert not trace.exists()

    @pytest.mark.parametrize(
        "path",
        [
            "{name}.git/../../1.git",
            "/{name}.git/..",
            "~ann/{name}.git",
            "~/{name}.git",
            "//{name}.git",
            "{name}\n.git",
            "{name}.git;id",
            "$(id)/x.git",
            "`id`/x.git",
            "{name}\uff0e.git",
            "\uff53tories/x.git",
            "STORIES/x.git",
            "stories/%2e%2e.git",
            "file:///etc",
            "git://localhost/{name}.git",
            "--upload-pack=id/x.git",
            "",
        ],
    )
    def test_a_path_is_a_name_or_nothing(self, path: str, app: App) -> None:
        path = path.format(name=app.name)
        asked = _ssh(app.owner, "-T", command=f"git-upload-pack '{path}'")
        assert asked.returncode == 128, asked.stdout
        assert asked.stderr.startswith("ERROR: Repository not found")
        assert asked.stdout == ""

    def test_a_long_command_is_not_even_split(self, ann: Person) -> None:
        asked = _ssh(ann, "-T", command="git-upload-pack '" + "x' '" * 20_000 + "'")
        assert asked.returncode == 128
        assert asked.stderr.startswith("ERROR: ")

    def test_a_command_that_is_no_text_is_refused(self, ann: Person) -> None:
        program = ann.environment["GIT_SSH_COMMAND"].split()
        asked = subprocess.run(
            [*program, "-T", "-p", str(ann.ssh_port), "git@localhost", b"git-upload-pack '\xff'"],
            env=ann.environment,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert asked.returncode != 0
        assert asked.stdout == b""


def test_host_keys_are_kept_across_restarts(ann: Person, installation: Installation) -> None:
    def keys() -> set[str]:
        scanned = ann.run("ssh-keyscan", "-p", str(ann.ssh_port), "localhost")
        return {line for line in scanned.stdout.splitlines() if not line.startswith("#")}

    before = keys()
    assert {line.split()[1] for line in before} == {"ssh-ed25519", "ssh-rsa"}
    installation.kill("receiver")
    installation.wait_until_answering()
    wait_until(lambda: keys() == before, seconds=30, what="the host keys changed")


def test_too_many_keys_on_one_connection(ann: Person) -> None:
    keys = []
    for number in range(22):
        path = ann.home / f"wrong-{number}"
        ann.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
        keys += ["-i", str(path)]
    asked = _ssh(ann, "-T", *keys, key=str(ann.home / "wrong-0"))
    assert asked.returncode == 255
    assert "too many keys tried: name the right one" in asked.stderr


def _connected(person: Person) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    key = str(person.home / "id_ed25519")
    return asyncssh.connect(
        *("127.0.0.1", person.ssh_port),
        username="git",
        client_keys=[key],
        known_hosts=None,
        config=None,
    )


def test_sessions_on_one_connection_are_counted(ann: Person) -> None:
    async def open_many() -> int:
        async with _connected(ann) as connection:
            opened = 0
            for _ in range(12):
                try:
                    await connection.create_process("git-upload-pack 'stories/none.git'")
                    opened += 1
                except asyncssh.ChannelOpenError as error:
                    assert "sessions are open already" in str(error)
            return opened

    began = time.monotonic()
    assert asyncio.run(open_many()) >= 10
    assert time.monotonic() - began < 20
