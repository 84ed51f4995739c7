"""The last look before a release counts. With a real Engine: stories/test_fenced_containers.py."""

import pytest

from enclave.errors import ContainerDied, OperationFailed
from worker.runtime import Container
from worker.runtime.running_image import check_running_image

OURS = "sha256:" + "a" * 64


def container(name: str, *, running: bool = True, image_id: str = OURS) -> Container:
    return Container(name, name, {}, running, image_id)


def test_all_run_the_image_of_the_release() -> None:
    check_running_image([container("web"), container("worker")], OURS)


def test_one_that_does_not_run_is_named() -> None:
    with pytest.raises(ContainerDied, match="container worker no longer runs"):
        check_running_image([container("web"), container("worker", running=False)], OURS)


@pytest.mark.parametrize("other", ["sha256:" + "b" * 64, "a" * 64, "sha256:" + "a" * 12, "web:1"])
def test_one_of_another_image_is_named_with_both(other: str) -> None:
    with pytest.raises(OperationFailed, match=f"container web runs the image {other}.*: {OURS}"):
        check_running_image([container("web", image_id=other)], OURS)
