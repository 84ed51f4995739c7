"""What a container that died says of itself. With a real Engine: test_runtime_contract.py."""

import pytest
from docker import APIClient
from docker.errors import APIError

from worker.redaction import MASK, Redactor
from worker.runtime.docker_containers import DockerContainers
from worker.runtime.docker_images import DockerImages
from worker.runtime.engine_connection import EngineConnection
from worker.runtime.isolated_network import IsolatedNetwork


def test_its_last_lines_come_whole_for_secrets_are_masked_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "S3CR3T-" + "k" * 600
    monkeypatch.setattr(
        DockerContainers, "details", lambda *_: {"State": {"ExitCode": 1, "OOMKilled": False}}
    )
    monkeypatch.setattr(DockerContainers, "tail", lambda *_, **__: [f"wrong: KEY={secret}"])
    died = DockerContainers.__new__(DockerContainers).death("id", "web")
    assert f"wrong: KEY={MASK}" in Redactor([secret]).redact(str(died)).splitlines()


def test_one_that_is_being_removed_has_no_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen when another thread removed it while ``Runtime.healthy`` waited."""
    words = "can not get logs from container which is dead or marked for removal"

    def refuse(_: object) -> None:
        raise APIError("409 Client Error", explanation=words)

    monkeypatch.setattr("worker.runtime.docker_containers.raise_refusal", refuse)
    client = APIClient.__new__(APIClient)
    client.base_url, client._version = "http+docker://nowhere", "1.41"
    monkeypatch.setattr(client, "get", lambda *_, **__: None)
    engine = EngineConnection("unix:///nowhere", timeout=1)
    monkeypatch.setattr(EngineConnection, "_api", client)
    network = IsolatedNetwork.named("none", "10.0.0.0/24")
    containers = DockerContainers(engine, network, DockerImages.__new__(DockerImages))
    assert containers.tail("id", "web", lines=5) == []
