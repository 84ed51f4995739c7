"""A deploy's pull with a credential helper: a real program, a registry with a password."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from one_app import ANN

from enclave.changes import Changes
from enclave.credentials import RegistryCredentials
from enclave.errors import CredentialHelperFailed, CredentialsRefused
from enclave.operation import OperationRequest, OperationType
from enclave.settings import Settings
from enclave.store import Store
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.registry import PrivateRegistry
from worker.image_fetch import ImageFetch
from worker.log import OperationLog
from worker.redaction import Redactor
from worker.runtime.docker_engine import DockerEngine
from worker.safe_points import SafePoints

versions = count(1)


class Helper:
    """``docker-credential-test``, whose answers are counted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls, self._secret = folder / "calls", folder / "secret"

    def gives(self, username: str, secret: str) -> None:
        """From now on it gives these for whatever it is asked."""
        answer = f'{{"ServerURL":"","Username":"{username}","Secret":"{secret}"}}'
        self._secret.write_text(answer)
        self._secret.chmod(0o600)
        program = self._folder / "docker-credential-test"
        program.write_text(
            f"#!/bin/sh\ncat >>{self._calls}; echo >>{self._calls}; cat {self._secret}"
        )
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What it was asked for, call by call."""
        return self._calls.read_text().split() if self._calls.exists() else []


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: PrivateRegistry) -> Helper:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    helper = Helper(tmp_path)
    helper.gives(registry.username, registry.password)
    return helper


@pytest.fixture(scope="module")
def runtime(engine: PrivateEngine) -> Iterator[DockerEngine]:
    network = {"network": "helpers", "subnet": "10.197.4.0/24"}
    runtime = DockerEngine(engine.url, timeout=30, owner="helpers", **network)
    yield runtime
    for pinned in runtime.pulled():
        runtime.remove_image(pinned)


@pytest.fixture
def image(images: Images) -> str:
    """An image that no Engine has."""
    return images.web(str(next(versions)), repository="helped")


class Operation:
    """A deploy's fetching of its image, and the log that it leaves."""

    def __init__(self, store: Store, runtime: DockerEngine, settings: Settings) -> None:
        self.store, self.runtime, self.settings = store, runtime, settings
        self._app = store.apps.create(store.apps.create_environment("prod"), "web")

    def fetch(
        self,
        image: str,
        *,
        helper: str | None = "test",
        stored: RegistryCredentials | None = None,
    ) -> list[str]:
        """Fetch the image; return the log's lines. Raises what the fetching raised."""
        request = OperationRequest(self._app.id, OperationType.DEPLOY, 1, ANN.email)
        submitted = self.store.operations.submit(request, Changes(image=image))
        lease = self.store.leases.take(self._app.id, holder=str(submitted.id), seconds=60)
        assert lease is not None
        log = OperationLog(self.store.logs, lease, Redactor([]), output_limit=1000)
        try:
            ImageFetch(
                store=self.store,
                runtime=self.runtime,
                settings=self.settings,
                points=SafePoints(),
                log=log,
                app_id=self._app.id,
                operation_id=lease.operation_id,
                stored=stored,
                helper=helper,
            ).fetch(image)
        finally:
            log.close()
            self.lines = [entry.line for entry in self.store.logs.so_far(lease.operation_id)]
            self.store.leases.hand_back(lease)
        return self.lines


@pytest.fixture
def operation(store: Store, runtime: DockerEngine, tmp_path: Path) -> Operation:
    return Operation(store, runtime, Settings(data=tmp_path, credential_helpers="test"))


def test_the_pull_is_made_with_what_the_helper_gives(
    operation: Operation, helper: Helper, image: str, registry: PrivateRegistry
) -> None:
    log = operation.fetch(image)
    assert any(" pulled" in line for line in log)
    assert helper.calls == [registry.address]
    assert registry.password not in "\n".join(log)


def test_it_is_asked_again_only_when_its_answer_is_old(
    operation: Operation, helper: Helper, image: str, store: Store, registry: PrivateRegistry
) -> None:
    operation.fetch(image)
    operation.fetch(image)
    assert len(helper.calls) == 1
    store.helper_credentials.drop("test", registry.address)  # as Redis does when its time is over
    operation.fetch(image)
    assert len(helper.calls) == 2


def test_what_the_registry_refuses_is_asked_for_once_more(
    operation: Operation, helper: Helper, image: str, store: Store, registry: PrivateRegistry
) -> None:
    old = RegistryCredentials(registry.address, registry.username, "expired-long-ago")
    store.helper_credentials.put("test", old, seconds=3600)
    log = operation.fetch(image)
    assert f"INFO: {registry.address} refused what test gave: asking again" in log
    assert len(helper.calls) == 1
    operation.fetch(image)
    assert len(helper.calls) == 1


def test_but_not_without_end(
    operation: Operation, helper: Helper, image: str, registry: PrivateRegistry
) -> None:
    helper.gives(registry.username, "wrong-for-good")
    with pytest.raises(CredentialsRefused, match="refused the user name"):
        operation.fetch(image)
    assert len(helper.calls) == 1
    with pytest.raises(CredentialsRefused, match="refused the user name"):
        operation.fetch(image)
    assert len(helper.calls) == 2
    assert "wrong-for-good" not in "\n".join(operation.lines)


def test_it_counts_before_stored_credentials(
    operation: Operation, helper: Helper, image: str, registry: PrivateRegistry
) -> None:
    operation.fetch(image, stored=RegistryCredentials(registry.address, "x", "wrong-password"))
    assert len(helper.calls) == 1


def test_one_that_is_allowed_no_longer_is_not_served_from_what_it_gave(
    operation: Operation, helper: Helper, image: str, tmp_path: Path
) -> None:
    operation.fetch(image)
    operation.settings = Settings(data=tmp_path, credential_helpers="")
    with pytest.raises(CredentialHelperFailed, match="the server's operator allows none"):
        operation.fetch(image)
    assert len(helper.calls) == 1
