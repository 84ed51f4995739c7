"""A service's container has an address of its own, which outlives the Engine and its own deaths."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import bare_runtime
import docker
import pytest
from bare_runtime import await_running, built, docker_engine, now, run, shell, spec, subnet

from enclave.app import App
from enclave.errors import ContainerDied, OperationFailed
from enclave.release import Release, ReleasedService
from testbed.engine import PrivateEngine
from testbed.processes import wait_until
from worker.plan import Placement
from worker.runtime import Image
from worker.runtime.docker_engine import DockerEngine
from worker.runtime.isolated_network import IsolatedNetwork
from worker.serve import serve_only

SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
# As versions before fixed addresses made it: the Engine gives out all of it.
OLD = {"com.docker.network.bridge.enable_icc": "false"}


@pytest.fixture(scope="module")
def runtime(engine: PrivateEngine) -> DockerEngine:
    return docker_engine(engine)


@pytest.fixture(scope="module")
def image(engine: PrivateEngine, runtime: DockerEngine) -> Image:
    return built(engine, runtime, "addressed:1", cmd=["/bin/sh", "-c", SLEEP])


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    with engine.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(runtime: DockerEngine) -> Iterator[None]:
    yield
    bare_runtime.remove_all(runtime)


def upper(address: str, of: str) -> bool:
    """Whether the address is in the upper half of the subnet."""
    return ipaddress.ip_address(address) in list(ipaddress.ip_network(of).subnets())[1]


def test_they_outlive_an_engine_that_is_killed(tmp_path: Path) -> None:
    with PrivateEngine(tmp_path / "engine") as mortal:
        runtime = docker_engine(mortal)
        image = built(mortal, runtime, "addressed:1", cmd=["/bin/sh", "-c", SLEEP])
        wanted = [spec(image) for _ in range(4)]
        containers = [runtime.start(each) for each in wanted]
        for container in containers:
            runtime.keep(container)
        before = [container.address for container in containers]
        assert len(set(before)) == 4

        mortal.kill()
        mortal.restart()

        assert [await_running(runtime, each.labels).address for each in wanted] == before


def test_a_container_that_crashes_keeps_it_and_its_pauses_grow(
    runtime: DockerEngine, image: Image, client: docker.APIClient
) -> None:
    container = runtime.start(shell(image, "echo life; usleep 300000; exit 1"))
    runtime.keep(container)
    addresses: set[str] = set()

    def looked() -> bool:
        addresses.add(now(runtime, container.labels).address)
        return runtime.tail(container, lines=20).count("life") >= 6

    wait_until(looked, seconds=30, what="it is not restarted")
    assert addresses - {""} == {container.address}

    found = client.events(
        since=int(time.time()) - 60,
        until=int(time.time()) + 1,
        filters={"container": container.id, "event": ["start", "die"]},
        decode=True,
    )
    moments = [(event["Action"], event["timeNano"]) for event in found]
    pauses = [
        (after[1] - before[1]) / 1e9
        for before, after in pairwise(moments)
        if (before[0], after[0]) == ("die", "start")
    ]
    # Docker doubles its pause from 0.1 s on; starting takes a few tenths of a second besides.
    assert len(pauses) >= 5
    assert pauses[4] - pauses[3] > 0.4, pauses
    assert pauses[4] > 2 * pauses[2] > 2 * pauses[0], pauses


def test_a_stopped_container_whose_address_is_taken_is_made_anew(
    runtime: DockerEngine, image: Image, client: docker.APIClient
) -> None:
    placement = Placement("bare", App(int(bare_runtime.APP), 1, "prod", "web", "2026-01-01"))
    release = Release(
        number=1,
        app_id=placement.app.id,
        operation_id=1,
        fence="1",
        user_email="me@example.com",
        created_at="2026-01-01",
        image="addressed:1",
        pinned=image.pinned,
        image_id=image.id,
        pushed=None,
        services=(ReleasedService("web", None, None, 1),),
        sealed_configuration="",
    )
    serve_only(runtime, placement, release, {})
    (first,) = runtime.containers(placement.labels())
    runtime.stop(first, seconds=0)
    squatter = squat(runtime, client, image, first.address)
    try:
        with pytest.raises(ContainerDied, match="another one has its address by now"):
            runtime.resume(first)
        assert serve_only(runtime, placement, release, {}), "it had to be brought back"
        (second,) = runtime.containers(placement.labels())
    finally:
        client.remove_container(squatter, force=True)
    assert second.running
    assert second.name == first.name
    assert second.address != first.address


def squat(runtime: DockerEngine, client: docker.APIClient, image: Image, address: str) -> str:
    """Start a container of nobody's at an address; return its id."""
    network = runtime._containers._network.name
    made = client.create_container(
        image.id,
        host_config=client.create_host_config(network_mode=network),
        networking_config={"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}},
    )["Id"]
    client.start(made)
    return str(made)


def test_an_address_taken_between_choice_and_start_is_not_insisted_on(
    runtime: DockerEngine, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = runtime.start(spec(image))
    free = IsolatedNetwork._choose
    answers = iter([first.address, first.address])
    monkeypatch.setattr(
        IsolatedNetwork,
        "_choose",
        lambda network, api: next(answers, None) or free(network, api),
    )
    wanted = spec(image)
    second = runtime.start(wanted)
    assert next(answers, None) is None
    assert second.running
    assert second.address != first.address
    assert len(runtime.containers(wanted.labels)) == 1


def test_it_is_given_up_when_every_choice_is_taken(
    runtime: DockerEngine, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = runtime.start(spec(image))
    monkeypatch.setattr(IsolatedNetwork, "_choose", lambda *_: first.address)
    wanted = spec(image)
    with pytest.raises(OperationFailed, match="went to another container at the same moment"):
        runtime.start(wanted)
    assert runtime.containers(wanted.labels) == []


def test_many_workers_at_once_get_different_ones(engine: PrivateEngine, image: Image) -> None:
    network = {"network": "crowded", "subnet": subnet(27)}  # 15 addresses to choose from
    workers = [docker_engine(engine, **network) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        containers = list(pool.map(lambda worker: worker.start(spec(image)), workers))
    assert len({container.address for container in containers}) == 8


def test_one_worker_never_chooses_an_address_twice_at_once(
    engine: PrivateEngine, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = docker_engine(engine, subnet=subnet(28))  # 7 addresses to choose from
    chosen: list[str] = []
    choose = IsolatedNetwork._choose

    def noted(network: IsolatedNetwork, api: docker.APIClient) -> str:
        chosen.append(choose(network, api))
        return chosen[-1]

    monkeypatch.setattr(IsolatedNetwork, "_choose", noted)
    with ThreadPoolExecutor(7) as pool:
        containers = list(pool.map(tight.start, [spec(image) for _ in range(7)]))
    assert sorted(chosen) == sorted(container.address for container in containers)
    assert len(set(chosen)) == 7


def test_what_a_stopped_container_will_want_again_is_not_free(
    engine: PrivateEngine, image: Image
) -> None:
    small = docker_engine(engine, subnet=subnet(29))  # 3 addresses to choose from
    containers = [small.start(spec(image)) for _ in range(3)]
    small.stop(containers[0], seconds=0)
    refused = spec(image)
    with pytest.raises(OperationFailed, match="has no address left for another container"):
        small.start(refused)
    assert small.containers(refused.labels) == []
    assert small.resume(containers[0]).address == containers[0].address
    small.remove(containers[1])
    assert small.start(spec(image)).address == containers[1].address


def test_commands_take_none_of_the_services_addresses(runtime: DockerEngine, image: Image) -> None:
    network = runtime._containers._network
    assert upper(runtime.start(spec(image)).address, network.subnet)
    for _ in range(3):
        status, text = run(runtime, shell(image, "hostname -i"))
        assert status == 0
        assert not upper(text.strip(), network.subnet)


def test_a_network_made_before_there_were_any_goes_on_working(
    engine: PrivateEngine, image: Image, client: docker.APIClient
) -> None:
    addresses, name = subnet(28), f"old-{secrets.token_hex(4)}"
    made = IsolatedNetwork.named(name, addresses)
    client.create_network(
        name,
        driver="bridge",
        options={**OLD, "com.docker.network.bridge.name": made.bridge},
        ipam={"Config": [{"Subnet": addresses}]},
        labels={"enclave.network": name},
    )
    runtime = docker_engine(engine, network=name, subnet=addresses)
    old = [
        client.create_container(
            image.id,
            labels=bare_runtime.labels(),
            host_config=client.create_host_config(network_mode=name),
        )["Id"]
        for _ in range(9)  # up to the third address of the upper half
    ]
    for each in old:
        client.start(each)
    containers = [runtime.start(spec(image)) for _ in range(4)]
    assert all(upper(container.address, addresses) for container in containers)
    stopped = replace(containers[0], running=False, address="")
    runtime.stop(containers[0], seconds=0)
    assert runtime.resume(stopped) == containers[0]
