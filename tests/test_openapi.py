"""``/docs`` is complete and true: schemathesis asks what the schema allows, and what it does not.

Every answer must be one that the schema describes, status, type, and field by field.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from api_app import ROOT, ApiApp
from argon2 import PasswordHasher
from certificates import given_certificate
from fastapi.testclient import TestClient
from hal_fields import FIELDS
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.application import create_api
from enclave.sealing import Sealer
from enclave.settings import Settings
from enclave.store import Store

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbn0ZFfTnbUSpDNWqy5XUZ2mBCsIwOeuRSNuGEmsyPK me@home"
STREAM = r".*/events$"
"""It ends with its operation; tests/test_following.py reads it."""


@pytest.fixture(scope="module")
def world(redis_server: Path, tmp_path_factory: pytest.TempPathFactory) -> ApiApp:
    """An app with a bit of everything, whose ids are all small numbers."""
    data = tmp_path_factory.mktemp("openapi")
    store = Store(f"unix://{redis_server}", Sealer.from_settings("", data))
    store.database.raw.flushall()
    store.people._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    world = ApiApp(store, data)
    world.put_live()
    service = world.service()["id"]
    world.admin.post(f"/services/{service}/vhosts", json={"default": True})
    chain, key = given_certificate("www.example.com")
    body = {"certificate_body": chain, "private_key": key}
    world.admin.post(f"/accounts/{world.environment.id}/certificates", json=body)
    user = world.store.people.user_by_email("admin@example.com")
    world.store.people.add_key(user, KEY)
    world.ask("configure", env={"A": "1"})
    return world


def _documented(folder: Path) -> Any:
    """Return the schema as one who is logged in reads it, and who knows ids that exist."""
    idle = Store("unix:///nobody", Sealer.from_settings("", folder))
    openapi = create_api(idle, Settings(data=folder, public_url=ROOT)).openapi()
    for operation in (each for path in openapi["paths"].values() for each in path.values()):
        operation.pop("security", None)
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path" and parameter["schema"]["type"] == "integer":
                parameter["schema"] |= {"minimum": 1, "maximum": 2}
    return schemathesis.openapi.from_dict(openapi).exclude(path_regex=STREAM)


with TemporaryDirectory() as _folder:
    SCHEMA = _documented(Path(_folder))


@SCHEMA.parametrize()
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(case: schemathesis.Case, world: ApiApp) -> None:
    asked = case.as_transport_kwargs(base_url=ROOT)
    asked["headers"] = {name: value.encode() for name, value in asked["headers"].items()}
    asked.pop("cookies", None)
    if isinstance(asked.get("data"), bytes | str):
        asked["content"] = asked.pop("data")
    answer = world.admin.request(**asked)
    case.validate_response(answer, excluded_checks=[positive_data_acceptance])


def test_every_answer_has_a_shape_and_every_shape_is_tested() -> None:
    """The table of tests/test_hal.py and what ``/docs`` says name the same fields."""
    schemas = SCHEMA.raw_schema["components"]["schemas"]
    for path, operations in SCHEMA.raw_schema["paths"].items():
        for method, operation in operations.items():
            done = operation["responses"].get("200") or operation["responses"]["201"]
            [content] = done["content"].values()
            assert "$ref" in content["schema"] or content["schema"] == {"type": "string"}, (
                f"{method} {path} says of its answer no more than that it is an object: give it a "
                "response_model of api/shapes.py"
            )
    for type_, fields in FIELDS.items():
        shape = next(
            each
            for name, each in schemas.items()
            if each.get("properties", {}).get("_type", {}).get("const") == type_
            and name not in ("Token", "CreatedWebhook")
        )
        assert shape["properties"].keys() - {"_type", "_links", "_embedded"} == fields.keys(), type_
        assert set(shape["required"]) == shape["properties"].keys(), type_


def test_only_these_answer_without_a_token(world: ApiApp) -> None:
    """What the schema calls open, and nothing else, answers strangers."""
    openapi = world.api.openapi()
    stranger = TestClient(world.api, base_url=ROOT, raise_server_exceptions=False)
    is_open = set()
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            address = re.sub(r"\{.*?\}", "1", path)
            refused = stranger.request(method, address, json={}).status_code == 401
            if not refused:
                is_open.add((method, path))
                assert "security" not in operation, (method, path)
    assert is_open == {
        ("get", "/"),
        ("get", "/healthz"),
        ("post", "/tokens"),
        ("get", "/operations/{operation_id}/log"),
    }


def test_docs_need_nobody_else(world: ApiApp) -> None:
    page = world.admin.get("/docs")
    assert "://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "://" not in policy
    for file in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert world.admin.get(file).status_code == 200, file
