"""The log portal, as the toolbelt uses it: a certificate from the API, then plain ``ssh``."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import pytest
from conftest import App

from testbed.images import Images
from testbed.installation import Installation
from testbed.person import Person
from testbed.processes import wait_until

SECONDS = 60


@dataclass(frozen=True)
class Toolbelt:
    """What the Ruby toolbelt does, without Ruby: the API's links, an RSA key of its own, ssh."""

    person: Person
    app: str

    def api(self, method: str, address: str, body: object = None) -> httpx.Response:
        url = address if "://" in address else self.person.url + address
        headers = {"Authorization": f"Bearer {self.person.token()}"}
        return httpx.request(
            method, url, headers=headers, json=body, timeout=SECONDS, trust_env=False
        )

    def operation(self, **body: object) -> dict[str, object]:
        found = self.api("GET", f"/find/app?handle={self.app}").json()
        operations = self.api("GET", found["_links"]["operations"]["href"]).json()
        created = self.api("POST", operations["_links"]["self"]["href"], body)
        assert created.status_code == 201, created.text
        answer: dict[str, object] = created.json()
        return answer

    def key(self) -> Path:
        key = self.person.home / "portal" / "id_rsa"
        if not key.exists():
            key.parent.mkdir(exist_ok=True)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)],
                check=True,
            )
        return key

    def ssh(self, operation: dict[str, object], *options: str) -> list[str]:
        """Return the ssh command for an operation, with a new certificate beside the key."""
        links = operation["_links"]
        assert isinstance(links, dict)
        connections = self.api("GET", links["ssh_portal_connections"]["href"]).json()
        key = self.key()
        asked = {"ssh_public_key": key.with_suffix(".pub").read_text()}
        created = self.api("POST", connections["_links"]["self"]["href"], asked)
        assert created.status_code == 201, created.text
        connection = created.json()
        assert connection["ssh_certificate_body"].startswith("ssh-rsa-cert-v01@openssh.com ")
        key.with_name("id_rsa-cert.pub").write_text(connection["ssh_certificate_body"])
        account = self.api("GET", links["account"]["href"]).json()
        stack = self.api("GET", account["_links"]["stack"]["href"]).json()
        host, port = stack["ssh_portal_host"], stack["ssh_portal_port"]
        known = key.with_name("known_hosts")
        known.write_text(f"[{host}]:{port} {stack['ssh_host_rsa_public_key']}\n")
        return [
            *("ssh", f"{connection['ssh_user']}@{host}", "-p", str(port), "-i", str(key)),
            *("-F", "none", "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={known}"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "SendEnv=ACCESS_TOKEN"),
            *(() if connection["ssh_pty"] else ("-T",)),
            *options,
        ]

    def visit(
        self, operation: dict[str, object], *options: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return self.person.run(*self.ssh(operation, *options), stdin=stdin)


@pytest.fixture
def toolbelt(live_app: App) -> Toolbelt:
    return Toolbelt(live_app.owner, live_app.handle)


def test_an_operation_is_followed_to_its_end(toolbelt: Toolbelt, images: Images) -> None:
    succeeded = toolbelt.operation(type="restart")
    shown = toolbelt.visit(succeeded)
    assert shown.returncode == 0, shown.stderr
    assert "INFO: Restart succeeded." in shown.stdout

    settings = {"APTIBLE_DOCKER_IMAGE": images.web("1").replace(":1", ":nowhere")}
    failed = toolbelt.operation(type="deploy", settings=settings)
    shown = toolbelt.visit(failed)
    assert shown.returncode == 1
    assert "ERROR" in shown.stdout
    again = toolbelt.visit(failed)
    assert (again.returncode, again.stdout) == (1, shown.stdout)


def test_a_certificate_is_for_one_operation_and_one_key(toolbelt: Toolbelt) -> None:
    one, other = toolbelt.operation(type="restart"), toolbelt.operation(type="restart")
    command = toolbelt.ssh(one)
    assert toolbelt.person.run(*command).returncode == 0

    visitor = command[1]
    elsewhere = visitor.replace(f"operation-{one['id']}-", f"operation-{other['id']}-")
    assert elsewhere != visitor
    for name in (elsewhere, visitor.replace("operation", "git"), f"git@{visitor.split('@')[1]}"):
        refused = toolbelt.person.run(command[0], name, *command[2:])
        assert refused.returncode == 255
        assert "Permission denied" in refused.stderr

    toolbelt.key().with_name("id_rsa-cert.pub").unlink()
    assert "Permission denied" in toolbelt.person.run(*command).stderr

    for option in ("-W", "localhost:6379"), ("-s", "sftp"):
        refused = toolbelt.person.run(*toolbelt.ssh(one, *option))
        assert refused.returncode != 0
        assert "SSH-2.0" not in refused.stdout


def test_who_left_the_environment_sees_nothing_more(
    toolbelt: Toolbelt, live_app: App, installation: Installation
) -> None:
    member = installation.person("portal-guest@example.com")
    member.log_in()
    installation.enclave("environment", "member", "stories", member.email, "read")
    guest = Toolbelt(member, live_app.handle)
    shown = toolbelt.operation(type="restart")
    command = guest.ssh(shown)
    assert member.run(*command).returncode == 0
    refused = guest.api(
        "POST",
        f"/operations/{toolbelt.operation(type='execute', command='true')['id']}"
        "/ssh_portal_connections",
        {"ssh_public_key": guest.key().with_suffix(".pub").read_text()},
    )
    assert refused.status_code == 403


def test_containers_are_followed(toolbelt: Toolbelt, live_app: App, images: Images) -> None:
    assert live_app.deploy("--docker-image", images.worker("1")).returncode == 0
    operation = toolbelt.operation(type="logs", status="succeeded")
    assert operation["status"] == "succeeded"
    process = toolbelt.person.start(*toolbelt.ssh(operation))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        process.kill()
    assert re.fullmatch(r"cmd\.1 \| worker tick \d+\n", line)


def test_a_command_has_its_streams_and_its_status(
    toolbelt: Toolbelt, live_app: App, installation: Installation
) -> None:
    live_app.owner.aptible("config:set", "--app", live_app.handle, "GREETING=hi").check_returncode()

    def execute(command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        operation = toolbelt.operation(type="execute", command=command, status="succeeded")
        return toolbelt.visit(operation, "-T", stdin=stdin)

    ran = execute('echo "$GREETING $APTIBLE_PROCESS_TYPE"; echo wrong >&2; exit 7')
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "hi execute\n", "wrong\n")
    many = "some text\n" * 100_000
    assert execute("cat", stdin=many).stdout == many
    missing = execute("exec /no/such/program")
    assert missing.returncode == 127
    assert terminals(installation) == []
    assert live_app.serving() == {"cmd": 1}


def terminals(installation: Installation) -> list[str]:
    """Return the names of containers of terminals, running or not."""
    with docker.APIClient(base_url=installation.engine_url, version="1.41") as client:
        found = client.containers(all=True, filters={"label": "enclave.visit"})
    return [each["Names"][0] for each in found]


class Terminal:
    """A pseudo-terminal in which ``ssh -t`` runs."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait(self, pattern: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"{pattern} never came: {self.shown}"
            self._read(0.2)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def status(self) -> int:
        deadline = time.monotonic() + SECONDS
        while True:
            self._read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, self.shown

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.shown += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                return


def test_a_terminal_is_one(toolbelt: Toolbelt, live_app: App, installation: Installation) -> None:
    operation = toolbelt.operation(type="execute", command="/bin/sh", interactive=True)
    terminal = Terminal(toolbelt.ssh(operation, "-tt"), toolbelt.person.environment)
    terminal.type("test -t 0 && echo is-a-tty; echo term=$TERM\n")
    terminal.wait(r"\nis-a-tty\r")
    terminal.resize(33, 101)
    terminal.type("stty size\n")
    terminal.wait(r"\n33 101\r")
    assert len(terminals(installation)) == 1
    again = toolbelt.person.run(*toolbelt.ssh(operation, "-T"), stdin="echo another; exit 6\n")
    assert (again.returncode, again.stdout) == (6, "another\n")
    restarted = live_app.owner.aptible("restart", "--app", live_app.handle)
    assert restarted.returncode == 0  # it blocks nothing, and nothing ends it
    terminal.type("trap 'echo caught' INT; sleep 30\n")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.wait("caught")
    terminal.type("exit 5\n")
    assert terminal.status() == 5
    wait_until(lambda: terminals(installation) == [], seconds=20, what="it was not removed")


def test_our_own_command_opens_one(live_app: App) -> None:
    owner = live_app.owner
    ran = owner.aptible(
        "ssh", "--app", live_app.handle, "sh", "-c", "echo $0 $1; exit 3", "a", "b c"
    )
    assert (ran.returncode, ran.stdout) == (3, "a b c\n")
    arguments = ["aptible", "ssh", "--app", live_app.handle]
    terminal = Terminal(arguments, owner.environment)
    terminal.type("test -t 0 && echo is-a-tty\n")
    terminal.wait(r"\nis-a-tty\r")
    terminal.type("exit 4\n")
    assert terminal.status() == 4


def test_who_hangs_up_leaves_no_container(toolbelt: Toolbelt, installation: Installation) -> None:
    operation = toolbelt.operation(type="execute", command="sleep 600")
    process = toolbelt.person.start(*toolbelt.ssh(operation, "-T"))
    wait_until(lambda: len(terminals(installation)) == 1, seconds=20, what="it did not start")
    process.kill()
    wait_until(lambda: terminals(installation) == [], seconds=30, what="it was not removed")
