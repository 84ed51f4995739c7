"""``aptible logs``: what all containers of an app print, through whatever happens meanwhile."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import App

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until

FLOOD_MB = 50
NONE = ("--container-count", "0")
GROWTH_BYTES = 64 << 20
TALKER = """#!/bin/sh
trap 'echo bye of {version}; exit 0' TERM
i=0
while true; do i=$((i+1)); echo "{version} says $i"; sleep 0.03 & wait $!; done
"""
FLOOD = f"""#!/bin/sh
dd if=/dev/zero bs=1M count={FLOOD_MB} 2>/dev/null | tr '\\0' x | fold -w 99
i=0
while true; do i=$((i+1)); echo "calm $i"; sleep 0.2; done
"""


class Following:
    """``aptible logs`` that runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self._output = process, output

    def text(self) -> str:
        return self._output.read_text(errors="replace")

    def wait(self, words: str, *, seconds: float = 30) -> None:
        """Wait for a line in which ``words`` (a pattern) stand."""
        wait_until(
            lambda: re.search(words, self.text(), re.MULTILINE) is not None,
            seconds=seconds,
            what=f"{words!r} never came: …{self.text()[-2000:]}",
        )

    def numbers(self, pattern: str) -> list[int]:
        return [int(found) for found in re.findall(pattern, self.text(), re.MULTILINE)]


@contextmanager
def following(app: App, *arguments: str) -> Iterator[Following]:
    output = app.owner.home / f"logs-of-{app.handle}.txt"
    aptible = ["aptible", "logs", "--app", app.handle, *arguments]
    with output.open("wb") as file:
        process = subprocess.Popen(
            aptible,
            env=app.owner.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Following(process, output)
    finally:
        process.kill()
        process.wait(10)


def talker(images: Images, version: str) -> str:
    script = TALKER.replace("{version}", version)
    return images.publish(f"talker:{version}", files={"/bin/talk": script}, cmd=["/bin/talk"])


@pytest.fixture
def talking(app: App, images: Images) -> App:
    """An app with two containers of ``web`` and one of ``clock``, all of which talk."""
    assert app.deploy_image(talker(images, "one")).returncode == 0
    app.repository.commit(Procfile="web: exec talk\nclock: echo tick; exec sleep 600\n")
    assert app.repository.push().returncode == 0
    scaled = app.owner.aptible("apps:scale", "--app", app.handle, "web", "--container-count", "2")
    assert scaled.returncode == 0
    return app


def test_all_services_are_followed_through_a_deploy(talking: App, images: Images) -> None:
    with following(talking) as logs:
        logs.wait(r"^web\.1 \| one says \d+$")
        logs.wait(r"^web\.2 \| one says \d+$")
        logs.wait(r"^clock\.1 \| tick$")

        assert talking.deploy("--docker-image", talker(images, "two")).returncode == 0

        logs.wait(r"^web\.1 \| two says 1$")
        logs.wait(r"^web\.2 \| two says 1$")
        assert logs.text().count("| bye of one\n") == 2
        said = logs.numbers(r"^web\.1 \| two says (\d+)$")
        assert said == list(range(1, len(said) + 1))
        logs.process.send_signal(signal.SIGINT)
        assert logs.process.wait(10) == 130
        assert "Traceback" not in logs.text()


def test_a_lost_attendant_or_engine_costs_no_line(
    talking: App, engine: PrivateEngine, installation: Installation
) -> None:
    """Nor is any told twice: of two containers, each with tens of lines a second."""
    said = [r"^web\.1 \| one says (\d+)$", r"^web\.2 \| one says (\d+)$"]
    logged = sum(
        len(each.read_text()) for each in (installation.data / "log").glob("receiver*.log")
    )
    with following(talking, "--tail", "1") as logs:
        for loss in range(1, 4):
            goes_on(logs, said)
            installation.kill("attendant")
            wait_until(
                lambda: logs.text().count("Connected again") == loss,  # noqa: B023
                seconds=30,
                what=f"it was not connected again: {logs.text()[-2000:]}",
            )
        goes_on(logs, said)
        for pattern in said:
            numbers = logs.numbers(pattern)
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
        (receiver,) = (installation.data / "log").glob("receiver*.log")
        assert "Exception in ASGI application" not in receiver.read_text()[logged:]

        seen = len(logs.text())
        engine.kill()
        try:
            logs.wait("The Docker Engine does not answer")
        finally:
            engine.restart()  # others need it, too
        wait_until(
            lambda: re.search(r"^web\.2 \| one says 1$", logs.text()[seen:], re.M) is not None,
            seconds=60,
            what="no line came from an Engine that was killed",
        )


def goes_on(logs: Following, patterns: list[str]) -> None:
    """Wait for fifty more lines of each."""
    for pattern in patterns:
        count = len(logs.numbers(pattern))
        wait_until(
            lambda: len(logs.numbers(pattern)) > count + 50,  # noqa: B023
            seconds=30,
            what=f"no more came of {pattern}",
        )


def test_last_words_without_an_end_are_seen(app: App, images: Images) -> None:
    """Though the container is removed; then the app is, and nothing is left to follow."""
    words = "trap 'printf \"last words\"; exit 0' TERM; echo up; while true; do sleep 0.1; done"
    files = {"/bin/talk": f"#!/bin/sh\n{words}\n"}
    image = images.publish("dying:1", files=files, cmd=["/bin/talk"])
    assert app.deploy_image(image).returncode == 0
    with following(app) as logs:
        logs.wait(r"^cmd\.1 \| up$")
        scaled = app.owner.aptible("apps:scale", "--app", app.handle, "cmd", *NONE)
        assert scaled.returncode == 0
        logs.wait(r"^cmd\.1 \| last words$")
        assert "may be left out" not in logs.text()
        gone = app.owner.aptible("apps:deprovision", "--app", app.handle)
        assert gone.returncode == 0
        assert logs.process.wait(30) == 0
        assert "The app is deprovisioned" in logs.text()


def test_a_flood_is_followed_to_its_end(
    app: App, images: Images, installation: Installation
) -> None:
    """By one who reads, and beside them one who has stopped reading."""
    image = images.publish("flood:1", files={"/bin/flood": FLOOD}, cmd=["/bin/sleep", "600"])
    assert app.deploy_image(image).returncode == 0
    app.repository.commit(Procfile="web: exec flood\n")
    assert app.repository.push("master:flood").returncode == 0
    with following(app) as logs, following(app) as stopped:
        memory = resident(installation)
        os.kill(stopped.process.pid, signal.SIGSTOP)
        assert app.deploy("--git-commitish", "flood").returncode == 0
        logs.wait(r"^web\.1 \| calm 20$", seconds=120)
        calm = logs.numbers(r"^web\.1 \| calm (\d+)$")
        assert calm == list(range(calm[0], calm[-1] + 1))
        assert len(logs.text()) < 2 * FLOOD_MB << 20
        assert resident(installation) < memory + GROWTH_BYTES
        os.kill(stopped.process.pid, signal.SIGCONT)


def resident(installation: Installation) -> int:
    """Return the bytes that attendant and receiver hold in memory."""
    pids = [*installation.pids("attendant"), *installation.pids("receiver")]
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(
        int(found) << 10 for each in statuses for found in re.findall(r"VmRSS:\s+(\d+)", each)
    )


def test_nobody_else_may_look(talking: App, installation: Installation) -> None:
    stranger = installation.person("stranger-to-logs@example.com")
    stranger.log_in()
    asked = stranger.aptible("logs", "--app", talking.handle, "--environment", "stories")
    assert asked.returncode == 1
    assert "Could not find" in asked.stderr
