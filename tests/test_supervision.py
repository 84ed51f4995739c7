"""What ``enclave up`` runs: the two configurations it writes, as their readers read them."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from admin.supervision import redis_configuration, supervisor_configuration
from enclave.settings import Settings
from testbed.processes import Child


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "da ta"
    (data / "redis").mkdir(parents=True)
    (data / "log").mkdir()
    return data


def redis_lines(data: Path) -> dict[str, str]:
    text = redis_configuration(Settings(data=data), data)
    assert text.endswith("\n")
    return dict(line.split(" ", 1) for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("port", "0"),
        ("unixsocketperm", "600"),
        ("maxmemory-policy", "noeviction"),
        ("daemonize", "no"),
        ("save", '""'),
    ],
)
def test_redis_keeps_what_it_was_told_and_listens_to_nobody_else(
    data: Path, name: str, value: str
) -> None:
    assert redis_lines(data)[name] == value


class TestARunningRedis:
    @pytest.fixture
    def socket(self, data: Path) -> Iterator[Path]:
        settings = Settings(data=data)
        (data / "redis.conf").write_text(redis_configuration(settings, data))
        server = Child(["redis-server", str(data / "redis.conf")], log=data / "redis.log")
        server.wait_ready(lambda: ask(settings.redis_socket, "ping") == "PONG", seconds=20)
        yield settings.redis_socket
        server.kill()

    def test_has_these_settings(self, socket: Path, data: Path) -> None:
        names = ("appendonly", "appendfsync", "port", "dir", "save")
        found = [ask(socket, "config", "get", name).partition("\n")[2] for name in names]
        assert found == ["yes", "always", "0", str(data / "redis"), ""]
        assert socket.stat().st_mode & 0o077 == 0


def ask(socket: Path, *words: str) -> str:
    command = ["redis-cli", "-s", str(socket), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def programs(data: Path, **given: int) -> dict[str, list[object]]:
    """Return supervisord's own reading: groups in the order they start, each with its processes."""
    path = data / "supervisord.conf"
    path.write_text(supervisor_configuration(Settings(data=data, **given), data))
    options = ServerOptions()
    options.realize(["-c", str(path)], doc="supervisord")
    groups = sorted(options.process_group_configs, key=lambda group: group.priority)
    return {group.name: group.process_configs for group in groups}


def test_programs_start_in_order(data: Path) -> None:
    first, second = ["redis"], ["receiver", "router", "haproxy"]
    assert list(programs(data)) == [*first, *second, "attendant", "housekeeper", "worker", "ready"]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("part", ["worker", "receiver"])
def test_as_many_as_wanted(data: Path, part: str, count: int) -> None:
    names = [process.name for process in programs(data, **{f"{part}s": count})[part]]  # type: ignore[attr-defined]
    assert names == [f"{part}-{number}" for number in range(count)]


def test_every_program_dies_with_supervisord_and_is_started_again(data: Path) -> None:
    for name, processes in programs(data).items():
        for process in processes:
            command = shlex.split(process.command)  # type: ignore[attr-defined]
            assert command[:3] == ["setpriv", "--pdeathsig", "TERM"]
            assert bool(process.autorestart) is (name != "ready")  # type: ignore[attr-defined]
            assert process.stopsignal == 15  # type: ignore[attr-defined]


def test_a_worker_has_time_to_finish_its_operation(data: Path) -> None:
    assert {process.stopwaitsecs for process in programs(data)["worker"]} == {90}  # type: ignore[attr-defined]


def test_two_redis_never_write_one_file(data: Path) -> None:
    (redis,) = programs(data)["redis"]
    words = shlex.split(redis.command)  # type: ignore[attr-defined]
    lock = words.index(f"{data}/redis.lock")
    assert words.index("flock") < lock < words.index("redis-server")
    assert words[-1] == f"{data}/redis.conf"


def test_redis_is_started_when_there_is_room_for_what_it_writes(data: Path) -> None:
    (redis,) = programs(data)["redis"]
    words = shlex.split(redis.command)  # type: ignore[attr-defined]
    assert words[-5:-1] == ["-m", "admin.room", f"{data}/redis", "redis-server"]


def test_no_secret_is_in_them(data: Path) -> None:
    settings = Settings(data=data, secret_keys="hunter2hunter2")
    texts = redis_configuration(settings, data) + supervisor_configuration(settings, data)
    assert "hunter2" not in texts
