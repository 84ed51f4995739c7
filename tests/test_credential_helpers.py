"""``docker-credential-NAME get``, asked as Docker asks it, and what it may not do to us."""

import json
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from enclave.credentials import RegistryCredentials
from enclave.errors import CredentialHelperFailed
from enclave.image import ImageReference
from enclave.store import Store, keys
from testbed.processes import wait_until
from worker.credential_helpers import allowed_helpers, credentials_from_helper
from worker.runtime.docker_images import _auth_config

SECRET = "s3cret-of-an-hour"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

Install = Callable[..., dict[str, str]]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Writes ``docker-credential-NAME``; returns an environment that finds it."""

    def write(script: str, name: str = "test", **more: str) -> dict[str, str]:
        program = tmp_path / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}", **more}

    return write


@pytest.fixture(autouse=True)
def on_our_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the worker, whose own PATH is searched."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def ask(
    environment: dict[str, str], *, name: str = "test", domain: str = ECR, seconds: float = 10
) -> RegistryCredentials:
    allowed = {"test", "ecr-login"}
    return credentials_from_helper(
        name, domain, allowed=allowed, environment=environment, seconds=seconds
    )


def failure(environment: dict[str, str], **options: object) -> str:
    """Return the sentence; no traceback of it may hold the secret either."""
    with pytest.raises(CredentialHelperFailed) as failed:
        ask(environment, **options)  # type: ignore[arg-type]
    assert SECRET not in "".join(traceback.format_exception(failed.value))
    return str(failed.value)


def answer(**fields: object) -> str:
    return "echo '" + json.dumps({"ServerURL": ECR, "Username": "AWS", **fields}) + "'"


def test_it_is_asked_for_the_registry_and_believed_about_that_one_alone(install: Install) -> None:
    environment = install('test "$1" = get && read -r domain; ' + answer(Secret=SECRET))
    assert ask(environment) == RegistryCredentials(ECR, "AWS", SECRET)
    elsewhere = ask(environment, domain="registry.example.com")
    assert elsewhere.domain == "registry.example.com"


@pytest.mark.parametrize(
    ("domain", "asked"), [(ECR, ECR), ("docker.io", "https://index.docker.io/v1/")]
)
def test_docker_hub_has_the_name_that_docker_gives_it(
    install: Install, tmp_path: Path, domain: str, asked: str
) -> None:
    ask(install(f"cat >{tmp_path}/asked; {answer(Secret=SECRET)}"), domain=domain)
    assert (tmp_path / "asked").read_text() == asked


def test_its_environment_is_small(install: Install, tmp_path: Path) -> None:
    ours = {"ENCLAVE_SECRET_KEYS": "x", "REDIS_PASSWORD": "x", "AWS_REGION": "eu-west-1"}
    ask(install(f"env >{tmp_path}/seen; {answer(Secret=SECRET)}", HOME="/home/x", **ours))
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert seen.keys() - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "HOME", "AWS_REGION"}


def test_one_that_does_not_read_still_answers(install: Install) -> None:
    assert ask(install(f"exec <&-; {answer(Secret=SECRET)}")).password == SECRET


def test_it_has_no_credentials(install: Install) -> None:
    said = failure(install("echo credentials not found in native keychain; exit 1"))
    assert f"docker-credential-test has no credentials for {ECR}" in said


@pytest.mark.parametrize("stream", ["1", "2"])
def test_what_it_says_when_it_fails_is_not_shown(install: Install, stream: str) -> None:
    said = failure(install(f"echo {SECRET} >&{stream}; exit 3"))
    assert "exit status 3" in said
    assert f"echo {ECR} | docker-credential-test get" in said


@pytest.mark.parametrize(
    "script",
    [
        "true",
        f"echo {SECRET}",
        answer(),
        answer(Secret=""),
        answer(Secret=[SECRET]),
        answer(Secret=SECRET, Username=None),
        f"echo '[\"{SECRET}\"]'",
        f"echo '\"{SECRET}\"'",
        f"printf '{SECRET}\\377'",
        "yes " + SECRET,
    ],
    ids=range(10),
)
def test_what_is_no_answer(install: Install, script: str) -> None:
    began = time.monotonic()
    assert "did not answer" in failure(install(script))
    assert time.monotonic() - began < 5  # an endless one is cut off


@pytest.mark.parametrize(
    "script", ["sleep 60", "exec >&-; sleep 60", "trap '' TERM; sleep 60 & wait"]
)
def test_it_has_a_deadline_and_leaves_no_children(
    install: Install, tmp_path: Path, script: str
) -> None:
    began = time.monotonic()
    said = failure(install(f"echo $$ >{tmp_path}/pid; {script}"), seconds=0.5)
    assert "gave no credentials" in said
    assert time.monotonic() - began < 3
    group = int((tmp_path / "pid").read_text())
    wait_until(lambda: not _lives(group), seconds=5, what="something of it still runs")


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("name", ["../test", "/bin/sh", "test get", "", "-x", "a\n", "ä", "x" * 64])
def test_what_cannot_be_a_name_is_not_run(name: str) -> None:
    with pytest.raises(CredentialHelperFailed, match="cannot be the name"):
        credentials_from_helper(name, ECR, allowed={name})


def test_only_what_the_operator_allows_is_run(install: Install, tmp_path: Path) -> None:
    environment = install(f"touch {tmp_path}/ran; {answer(Secret=SECRET)}", "other")
    said = failure(environment, name="other")
    assert "the server's operator allows ecr-login, test" in said
    assert not (tmp_path / "ran").exists()


def test_one_that_is_not_installed(install: Install) -> None:
    said = failure(install("true"), name="ecr-login")
    assert "no docker-credential-ecr-login that can be run" in said


def test_the_setting_names_them() -> None:
    assert allowed_helpers("ecr-login, gcloud,") == {"ecr-login", "gcloud"}
    assert allowed_helpers("") == frozenset()


def test_an_identity_token_is_given_to_the_engine_as_one() -> None:
    token = RegistryCredentials("example.com", "<token>", SECRET)
    assert _auth_config(ImageReference.parse("example.com/app"), token) == {
        "identitytoken": SECRET,
        "serveraddress": "example.com",
    }


class TestTheCache:
    GIVEN = RegistryCredentials(ECR, "AWS", SECRET)

    def test_it_is_sealed_and_ends(self, store: Store) -> None:
        store.helper_credentials.put("test", self.GIVEN, seconds=3600)
        assert store.helper_credentials.get("test", ECR) == self.GIVEN
        key = keys.helper_credentials("test", ECR)
        assert SECRET not in (store.database.redis.get(key) or "")
        assert 3590 < store.database.raw.ttl(key) <= 3600  # type: ignore[operator]

    def test_another_registry_or_helper_has_its_own(self, store: Store) -> None:
        store.helper_credentials.put("test", self.GIVEN, seconds=3600)
        assert store.helper_credentials.get("test", "example.com") is None
        assert store.helper_credentials.get("other", ECR) is None

    def test_no_time_no_cache(self, store: Store) -> None:
        store.helper_credentials.put("test", self.GIVEN, seconds=0)
        assert store.helper_credentials.get("test", ECR) is None

    def test_what_is_dropped_or_unreadable_is_not_there(self, store: Store) -> None:
        store.helper_credentials.put("test", self.GIVEN, seconds=3600)
        store.helper_credentials.drop("test", ECR)
        assert store.helper_credentials.get("test", ECR) is None
        store.database.redis.set(keys.helper_credentials("test", ECR), "not sealed")
        assert store.helper_credentials.get("test", ECR) is None
