"""What following relies on of a real Engine's logs (``worker.runtime.container_log``)."""

from collections.abc import Iterator

import bare_runtime
import pytest
from bare_runtime import await_running, built, docker_engine, shell

from testbed.engine import PrivateEngine
from testbed.processes import wait_until
from worker.runtime import Container, Image
from worker.runtime.container_log import PART_BYTES, Entry
from worker.runtime.docker_engine import DockerEngine


@pytest.fixture
def runtime(engine: PrivateEngine) -> Iterator[DockerEngine]:
    made = docker_engine(engine)
    yield made
    bare_runtime.remove_all(made)


@pytest.fixture
def image(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    return built(engine, runtime, "entries:1")


def logged(runtime: DockerEngine, container: Container) -> list[Entry]:
    with runtime.log(container) as entries:
        return list(entries or ())


def test_all_parts_of_a_line_are_of_one_time(runtime: DockerEngine, image: Image) -> None:
    """However slowly they come; the last has the line's end."""
    line = (
        f"head -c {2 * PART_BYTES} /dev/zero | tr '\\0' x; echo begun >&2; sleep 1; "
        f"head -c {PART_BYTES} /dev/zero | tr '\\0' y; echo end; exec sleep 60"
    )
    container = runtime.start(shell(image, line))
    wait_until(
        lambda: any(b"end" in each.printed for each in logged(runtime, container)),
        seconds=20,
        what="no line came",
    )
    found = logged(runtime, container)
    parts = [each for each in found if each.stream == 1]
    assert [len(each.printed) for each in parts] == [PART_BYTES] * 3 + [len("end\n")]
    assert len({each.time for each in parts}) == 1
    (other,) = [each for each in found if each.stream == 2]
    assert other.time != parts[0].time


def test_the_last_words_of_a_process_have_a_time_of_their_own(
    runtime: DockerEngine, image: Image
) -> None:
    """Without a line end, if they had none; the next life's first line is another entry."""
    spec = shell(image, "echo up; printf 'fatal: no config'; sleep 1; exit 1")
    container = runtime.start(spec)
    runtime.keep(container)
    await_running(runtime, spec.labels)
    wait_until(
        lambda: len(logged(runtime, container)) >= 3, seconds=20, what="it was not restarted"
    )
    first, last_words, second = logged(runtime, container)[:3]
    assert [first.printed, last_words.printed, second.printed] == [
        b"up\n",
        b"fatal: no config",
        b"up\n",
    ]
    assert first.time < last_words.time < second.time


def test_the_log_of_a_container_that_is_gone_is_none(runtime: DockerEngine, image: Image) -> None:
    container = runtime.start(shell(image, "exec sleep 60"))
    runtime.remove(container)
    with runtime.log(container) as entries:
        assert entries is None
