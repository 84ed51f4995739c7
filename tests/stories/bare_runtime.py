"""A runtime without a platform around it: what the stories of single containers share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from testbed.engine import PrivateEngine
from testbed.images import build
from testbed.processes import wait_until
from worker.runtime import LABEL_APP, LABEL_OPERATION, Container, ContainerSpec, Image
from worker.runtime.docker_engine import DockerEngine

APP = "77"

_SUBNETS = 512

_numbers = count(1)
_subnets = count()


def subnet(bits: int = 24) -> str:
    """Return a subnet of at least 22 ``bits`` that this process has not used yet.

    Networks stay until their Engine's end, so none is given twice; others use it rarely.
    """
    number = next(_subnets)
    if number >= _SUBNETS:
        raise AssertionError("these stories have made too many networks")
    return f"10.{192 + os.getpid() % 8 * 8 + number // 64}.{number % 64 * 4}.0/{bits}"


def docker_engine(engine: PrivateEngine, **options: Any) -> DockerEngine:
    """Return a runtime on ``engine``, with a network of its own unless told otherwise."""
    network = f"bare-{os.getpid()}-{next(_numbers)}"
    own = {"network": network, "subnet": subnet(), "owner": "bare"}
    chosen = {**own, "timeout": 30.0, **options}
    return DockerEngine(engine.url, **chosen)


def built(engine: PrivateEngine, runtime: DockerEngine, tag: str, **options: Any) -> Image:
    """Build an image as ``testbed.images.build`` does, and return it as the runtime sees it."""
    build(engine.url, tag, **options)
    image = runtime.image(tag)
    assert image is not None
    return image


def imported(
    engine: PrivateEngine, runtime: DockerEngine, tag: str, layer: bytes, changes: Sequence[str]
) -> Image:
    """Make an image of a layer, changed by these lines of a Dockerfile."""
    repository, _, version = tag.rpartition(":")
    with engine.client() as client:
        client.import_image_from_data(layer, repository=repository, tag=version, changes=changes)
    image = runtime.image(tag)
    assert image is not None
    return image


def labels() -> dict[str, str]:
    """Return labels that no other container has."""
    return {LABEL_APP: APP, LABEL_OPERATION: str(next(_numbers))}


def spec(image: Image, **fields: Any) -> ContainerSpec:
    """Return a container to make, with a name and labels of its own."""
    own = labels()
    return replace(ContainerSpec(f"bare-{own[LABEL_OPERATION]}", image.id, own), **fields)


def shell(image: Image, script: str, **fields: Any) -> ContainerSpec:
    """Return a container that runs a shell script."""
    return spec(image, command=("/bin/sh", "-c", script), **fields)


def run(runtime: DockerEngine, wanted: ContainerSpec) -> tuple[int, str]:
    """Run a command to its end; return its exit status and its output."""
    chunks: list[bytes] = []
    status = runtime.run(wanted, output=chunks.append, seconds=30)
    return status, b"".join(chunks).decode()


def now(runtime: DockerEngine, of: Mapping[str, str]) -> Container:
    """Return the one container with these labels as it is now."""
    (container,) = runtime.containers(of)
    return container


def await_running(runtime: DockerEngine, of: Mapping[str, str]) -> Container:
    """Return the one container with these labels once it runs and has an address."""

    def runs() -> bool:
        container = now(runtime, of)
        return container.running and bool(container.address)

    wait_until(runs, seconds=30, what=f"the container with {dict(of)} does not run")
    return now(runtime, of)


def remove_all(runtime: DockerEngine) -> None:
    """Remove every container of these stories."""
    for container in runtime.containers({LABEL_APP: APP}):
        runtime.remove(container)
