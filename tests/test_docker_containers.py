"""What a container that died says of itself. With a real Engine: test_runtime_contract.py."""

import pytest

from worker.redaction import MASK, Redactor
from worker.runtime.docker_containers import DockerContainers


def test_its_last_lines_come_whole_for_secrets_are_masked_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "S3CR3T-" + "k" * 600
    monkeypatch.setattr(
        DockerContainers, "_state", lambda *_: {"State": {"ExitCode": 1, "OOMKilled": False}}
    )
    monkeypatch.setattr(DockerContainers, "tail", lambda *_, **__: [f"wrong: KEY={secret}"])
    died = DockerContainers.__new__(DockerContainers).death("id", "web")
    assert f"wrong: KEY={MASK}" in Redactor([secret]).redact(str(died)).splitlines()
