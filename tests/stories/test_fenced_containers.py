"""What a container may take and see, looked at from inside; and that it runs as in `docker run`."""

from __future__ import annotations

import io
import tarfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import bare_runtime
import docker
import pytest
from bare_runtime import APP, built, docker_engine, imported, run, shell, spec, subnet

from enclave.errors import ContainerDied, OperationFailed
from testbed.engine import PrivateEngine
from testbed.layer import layer
from testbed.processes import program as find_program
from testbed.processes import wait_until
from worker.plan import CONTAINER_SIZE_MB
from worker.runtime import LABEL_APP, Image
from worker.runtime.docker_engine import DockerEngine
from worker.runtime.running_image import check_running_image

LIVE = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
MANY = 40  # `scripts/bench many_apps` has 300

# cgroups of version 2 and of version 1, whichever this machine has.
LIMITS = """
grep NoNewPrivs /proc/self/status
cd /sys/fs/cgroup
if [ -e memory.max ]; then
    echo "memory $(cat memory.max) swap $(cat memory.swap.max 2>/dev/null || echo 0)"
    echo "pids $(cat pids.max)"
else
    memory=$(cat memory/memory.limit_in_bytes)
    both=$(cat memory/memory.memsw.limit_in_bytes 2>/dev/null || echo $memory)
    echo "memory $memory swap $((both - memory))"
    echo "pids $(cat pids/pids.max)"
fi
"""
SEEN = """#!/bin/sh
echo "user $(id -u):$(id -g)"
echo "directory $(pwd)"
env | grep -v HOSTNAME | sort
for argument; do echo "argument: $argument"; done
"""
FROM_IMAGE = ["ENV PATH=/bin", "ENV GREETING=hello", "ENV BOTH=image", "USER nobody"]


@pytest.fixture(scope="module")
def runtime(engine: PrivateEngine) -> DockerEngine:
    return docker_engine(engine)


@pytest.fixture(scope="module")
def image(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    return built(engine, runtime, "fenced:1", cmd=["/bin/sh", "-c", LIVE])


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    with engine.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(runtime: DockerEngine) -> Iterator[None]:
    yield
    bare_runtime.remove_all(runtime)


# --- What it may take --------------------------------------------------------------------------


def test_the_limits_hold_inside(runtime: DockerEngine, image: Image) -> None:
    status, text = run(runtime, shell(image, LIMITS, memory_mb=64))
    assert (status, text.split("\n")) == (
        0,
        ["NoNewPrivs:\t1", f"memory {64 << 20} swap 0", "pids 2048", ""],
    )
    _, text = run(runtime, shell(image, LIMITS))
    assert f"memory {1024 << 20} swap 0" in text
    assert CONTAINER_SIZE_MB == 1024


def test_a_service_has_them_as_a_command_has_them(
    runtime: DockerEngine, image: Image, client: docker.APIClient
) -> None:
    container = runtime.start(shell(image, f"{LIMITS}{LIVE}", memory_mb=64))
    wait_until(lambda: len(runtime.tail(container, lines=9)) == 3, seconds=10, what="no limits")
    assert runtime.tail(container, lines=9) == [
        "NoNewPrivs:\t1",
        f"memory {64 << 20} swap 0",
        "pids 2048",
    ]
    found = client.inspect_container(container.id)["HostConfig"]
    assert (found["Memory"], found["MemorySwap"]) == (64 << 20, 64 << 20)
    assert found["PidsLimit"] == 2048
    assert found["SecurityOpt"] == ["no-new-privileges"]


def test_a_program_gains_nothing_by_setuid(engine: PrivateEngine, runtime: DockerEngine) -> None:
    """``su`` without a password: nobody becomes root by it, were it not for no-new-privileges."""
    passwd = "root::0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    buffer = io.BytesIO(layer({"/etc/passwd": passwd, "/etc/group": "root:x:0:\n"}))
    program = Path(find_program("busybox", package="busybox-static")).read_bytes()
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        member = tarfile.TarInfo("bin/busybox-setuid")
        member.mode, member.size = 0o4755, len(program)
        tar.addfile(member, io.BytesIO(program))
    changes = ["ENV PATH=/bin", "USER nobody"]
    image = imported(engine, runtime, "setuid:1", buffer.getvalue(), changes)
    become_root = ("busybox-setuid", "su", "root", "-c", "id -u")

    with engine.client() as client:  # it works where nothing forbids it
        assert as_docker_run(client, image, list(become_root)) == "0\n"
    status, text = run(runtime, spec(image, command=become_root))
    assert status != 0
    assert "0\n" not in text


def test_its_log_is_rotated(runtime: DockerEngine, image: Image, client: docker.APIClient) -> None:
    talk = "yes $(printf %01000d 7) | head -c 40000000; echo; echo the end"
    container = runtime.start(shell(image, f"{talk}; {LIVE}"))
    wait_until(lambda: runtime.tail(container, lines=1) == ["the end"], seconds=60, what="no end")
    log = Path(client.inspect_container(container.id)["LogPath"])
    files = list(log.parent.glob(f"{log.name}*"))
    assert len(files) == 3
    assert 20e6 < sum(file.stat().st_size for file in files) < 31e6


# --- As `docker run` ---------------------------------------------------------------------------


@pytest.mark.parametrize("entrypoint", [True, False], ids=["entrypoint", "no-entrypoint"])
@pytest.mark.parametrize(
    "command",
    [None, ("/bin/seen", "two words", "$GREETING", "*")],
    ids=["image-cmd", "arguments"],
)
def test_the_image_is_run_as_docker_run_runs_it(
    engine: PrivateEngine,
    runtime: DockerEngine,
    entrypoint: bool,
    command: tuple[str, ...] | None,
) -> None:
    changes = [*FROM_IMAGE, "WORKDIR /made/by/workdir"]
    if entrypoint:
        changes.append('ENTRYPOINT ["/bin/seen", "fixed"]')
    changes.append('CMD ["/bin/seen", "from", "the image"]')
    image = imported(engine, runtime, "seen:1", layer({"/bin/seen": SEEN}), changes)

    status, text = run(runtime, spec(image, command=command))

    assert status == 0
    with engine.client() as client:
        assert text == as_docker_run(client, image, None if command is None else list(command))
    assert "user 65534:65534\ndirectory /made/by/workdir\n" in text
    assert "GREETING=hello\n" in text
    if command is not None:
        assert text.endswith("argument: two words\nargument: $GREETING\nargument: *\n")


def as_docker_run(client: docker.APIClient, image: Image, command: list[str] | None) -> str:
    """Return the output of `docker run IMAGE COMMAND`, with no option of ours."""
    made = client.create_container(
        image.id, command, host_config=client.create_host_config(network_mode="none")
    )["Id"]
    try:
        client.start(made)
        client.wait(made)
        return str(client.logs(made).decode())
    finally:
        client.remove_container(made, force=True)


def test_the_apps_variables_win_over_the_images(
    engine: PrivateEngine, runtime: DockerEngine
) -> None:
    image = imported(engine, runtime, "seen:2", layer({"/bin/seen": SEEN}), FROM_IMAGE)
    wanted = spec(image, command=("/bin/seen",), environment={"BOTH": "app", "MORE": "a=b c"})
    lines = run(runtime, wanted)[1].splitlines()
    assert {"GREETING=hello", "BOTH=app", "MORE=a=b c"} <= set(lines)
    assert "BOTH=image" not in lines


# --- Which image it runs -----------------------------------------------------------------------


def test_a_container_runs_the_image_it_was_made_of_whatever_its_tag_says_later(
    engine: PrivateEngine, runtime: DockerEngine
) -> None:
    first = built(engine, runtime, "moving:1", cmd=["/bin/sh", "-c", LIVE])
    wanted = spec(first)
    container = runtime.start(wanted)
    second = built(engine, runtime, "moving:1", cmd=["/bin/sh", "-c", f"echo 2; {LIVE}"])
    assert second.id != first.id

    check_running_image([container, *runtime.containers(wanted.labels)], first.id)
    with pytest.raises(OperationFailed, match=f"runs the image {first.id}"):
        check_running_image(runtime.containers(wanted.labels), second.id)
    runtime.stop(container, seconds=0)
    with pytest.raises(ContainerDied, match="no longer runs"):
        check_running_image(runtime.containers(wanted.labels), first.id)
    assert runtime.resume(container).image_id == first.id


# --- Many of them ------------------------------------------------------------------------------


def test_many_apps_on_one_engine_and_none_reaches_another(
    engine: PrivateEngine, image: Image
) -> None:
    runtime = docker_engine(engine, subnet=subnet(22))
    site = replace(
        spec(image), command=("/bin/sh", "-c", "mkdir /www; echo $APP >/www/index.html; serve")
    )
    wanted = [
        replace(
            site,
            name=f"bare-many-{number}",
            labels={LABEL_APP: APP, "number": str(number)},
            environment={"APP": str(number)},
        )
        for number in range(MANY)
    ]
    with ThreadPoolExecutor(4) as pool:
        containers = list(pool.map(runtime.start, wanted))
    assert len({container.address for container in containers}) == MANY
    for number, container in enumerate(containers):
        assert get(container.address) == f"{number}\n"
    tries = " ".join(
        f"nc -w 1 {container.address} 8080 </dev/null && echo reached &"
        for container in containers[:10]
    )
    names = f"nc -w 1 {containers[0].name} 8080 </dev/null && echo reached &"
    _, text = run(runtime, shell(image, f"{tries} {names} wait; echo done"))
    assert "reached" not in text
    assert text.endswith("done\n")


def get(address: str) -> str:
    """Return what the web server at ``address`` says, once it listens."""
    said: list[str] = []

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as response:
                said.append(response.read().decode())
        except OSError:
            return False
        return True

    wait_until(answers, seconds=20, what=f"{address} does not answer")
    return said[-1]
