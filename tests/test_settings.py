"""This installation's settings, from ``ENCLAVE_*`` variables."""

import os
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from enclave.errors import Misconfigured
from enclave.settings import Settings, settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No setting of whoever runs the tests counts, and none is remembered."""
    for name in [name for name in os.environ if name.startswith("ENCLAVE_")]:
        monkeypatch.delenv(name)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("ENCLAVE_DATA", "/srv/enclave", "data", Path("/srv/enclave")),
        ("ENCLAVE_HTTP_PORT", "80", "http_port", 80),
        ("ENCLAVE_WORKERS", "64", "workers", 64),
        ("ENCLAVE_SETTLE_SECONDS", "0", "settle_seconds", 0.0),
        ("ENCLAVE_PUSH_BYTES", "1048576", "push_bytes", 1 << 20),
        ("enclave_ssh_port", "22", "ssh_port", 22),
    ],
)
def test_a_variable_sets_a_setting(
    environment: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    environment.setenv(variable, text)
    assert getattr(settings(), name) == value


def test_variables_that_mean_nothing_do_no_harm(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENCLAVE_NO_SUCH_THING", "x")
    environment.setenv("DATA", "/nowhere")
    assert settings() == Settings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ENCLAVE_HTTP_PORT", "http"),
        ("ENCLAVE_HTTP_PORT", ""),
        ("ENCLAVE_WORKERS", "0"),
        ("ENCLAVE_WORKERS", "65"),
        ("ENCLAVE_LEASE_SECONDS", "1"),
        ("ENCLAVE_STOP_SECONDS", "-1"),
        ("ENCLAVE_PULL_SECONDS", "0"),
        ("ENCLAVE_KEEPALIVE_SECONDS", "0"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(
    environment: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    environment.setenv(variable, text)
    with pytest.raises(Misconfigured, match=f"^{variable}: "):
        settings()


def test_every_wrong_value_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ENCLAVE_HTTP_PORT", "http")
    environment.setenv("ENCLAVE_WORKERS", "none")
    with pytest.raises(Misconfigured, match=r"ENCLAVE_HTTP_PORT: .*; ENCLAVE_WORKERS: "):
        settings()


def test_they_are_read_once(environment: pytest.MonkeyPatch) -> None:
    first = settings()
    environment.setenv("ENCLAVE_HTTP_PORT", "1")
    assert settings() is first


class TestRedis:
    def test_the_private_one_unless_another_is_given(self, tmp_path: Path) -> None:
        assert Settings(data=tmp_path).resolved_redis_url == f"unix://{tmp_path}/redis.sock"
        url = "redis://elsewhere:6379/1"
        assert Settings(data=tmp_path, redis_url=url).resolved_redis_url == url

    def test_its_socket_does_not_depend_on_where_one_stands(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert Settings(data=Path("data")).redis_socket == tmp_path / "data" / "redis.sock"

    @pytest.mark.parametrize(("length", "fits"), [(107, True), (108, False)])
    @pytest.mark.parametrize("letter", ["x", "é"])
    def test_a_path_too_long_for_a_socket(self, length: int, letter: str, *, fits: bool) -> None:
        room = length - len("/") - len("/redis.sock")
        name = letter * (room // len(letter.encode()))
        data = Path("/" + name + "y" * (room - len(name.encode())))
        if fits:
            assert len(bytes(Settings(data=data).redis_socket)) == 107
        else:
            with pytest.raises(Misconfigured, match=r"107 bytes.*shorter data directory"):
                _ = Settings(data=data).redis_socket


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://localhost:8080"),
        ({"http_port": 1}, "http://localhost:1"),
        ({"public_url": "https://deploy.example.com"}, "https://deploy.example.com"),
        ({"public_url": "https://deploy.example.com/"}, "https://deploy.example.com"),
    ],
)
def test_the_url_users_type(given: dict[str, object], url: str) -> None:
    assert Settings(**given).url == url  # type: ignore[arg-type]


def test_installations_side_by_side_keep_apart(tmp_path: Path) -> None:
    one, other = Settings(data=tmp_path / "1"), Settings(data=tmp_path / "2")
    assert one.bridge == Settings(data=tmp_path / "1").bridge
    assert one.addresses == Settings(data=tmp_path / "x" / ".." / "1").addresses
    assert one.bridge != other.bridge
    given = Settings(data=tmp_path, network="mine", subnet="10.1.0.0/16")
    assert (given.bridge, given.addresses) == ("mine", "10.1.0.0/16")


def test_subnets_are_in_a_range_of_their_own(tmp_path: Path) -> None:
    ours = ip_network("10.64.0.0/10")
    found = {Settings(data=tmp_path / str(n)).addresses for n in range(64)}
    assert all(ip_network(each).subnet_of(ours) for each in found)
    assert len(found) > 16


def test_every_setting_is_described_with_its_default() -> None:
    page = (Path(__file__).parents[1] / "docs" / "operating.md").read_text()
    told = dict(re.findall(r"^\| `ENCLAVE_([A-Z_]+)` \| (?:`(.*?)` )?\|", page, re.MULTILINE))
    fields = Settings.model_fields
    assert told == {name.upper(): str(field.default) for name, field in fields.items()}
