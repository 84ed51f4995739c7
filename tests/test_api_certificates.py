"""Certificates as clients give them, and the endpoints that have them (API.md, vhosts)."""

from pathlib import Path
from typing import Any

import pytest
from api_app import ROOT, ApiApp, create_in, follow
from certificates import given_certificate

from enclave.store import Store


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    world = ApiApp(store, tmp_path)
    world.put_live()
    return world


def give(world: ApiApp, *names: str) -> dict[str, Any]:
    chain, key = given_certificate(*names)
    account = follow(world.admin, world.service(), "account")
    answer = create_in(
        world.admin,
        account["_links"]["certificates"]["href"],
        certificate_body=chain,
        private_key=key,
    )
    assert answer.status_code == 201, answer.text
    assert "PRIVATE" not in answer.text
    certificate: dict[str, Any] = answer.json()
    return certificate


def test_given_listed_and_shown_without_its_key(world: ApiApp) -> None:
    certificate = give(world, "www.example.com", "example.com")
    assert certificate["_type"] == "certificate"
    assert certificate["common_name"] == "www.example.com"
    assert certificate["subject_alternative_names"] == ["www.example.com", "example.com"]
    assert len(certificate["sha256_fingerprint"]) == 64
    assert follow(world.admin, certificate, "self") == certificate
    account = follow(world.admin, certificate, "account")
    listed = follow(world.admin, account, "certificates")
    assert listed["_embedded"]["certificates"] == [certificate]


@pytest.mark.parametrize("field", ["certificate_body", "private_key"])
def test_what_is_none_is_refused_without_telling_it(world: ApiApp, field: str) -> None:
    chain, key = given_certificate("www.example.com")
    body = {"certificate_body": chain, "private_key": key, field: "hunter2"}
    path = f"/accounts/{world.environment.id}/certificates"
    answer = world.admin.post(path, json=body)
    assert (answer.status_code, "hunter2" in answer.text) == (422, False)
    assert world.admin.get(path).json()["total_count"] == 0


@pytest.mark.parametrize(
    ("names", "asked", "host"),
    [
        (["www.example.com"], None, "www.example.com"),
        (["*.example.com", "example.com"], None, "example.com"),
        (["*.example.com"], "a.example.com", "a.example.com"),
        (["a.example.com", "b.example.com"], "B.example.com", "b.example.com"),
    ],
)
def test_an_endpoint_is_named_by_its_certificate_or_one_of_its_hosts(
    world: ApiApp, names: list[str], asked: str | None, host: str
) -> None:
    certificate = give(world, *names)
    vhosts = world.service()["_links"]["vhosts"]["href"]
    # The Ruby client sends the address, with or without the API's root.
    address = certificate["_links"]["self"]["href"].removeprefix(ROOT if asked else "")
    answer = create_in(world.admin, vhosts, certificate=address, user_domain=asked)
    assert answer.status_code == 201, answer.text
    vhost = answer.json()
    assert vhost["external_host"] == host
    assert follow(world.admin, vhost, "certificate") == certificate
    endpoint, _ = world.store.endpoints.endpoint(vhost["id"])
    assert endpoint.certificate_id == certificate["id"]


@pytest.mark.parametrize(
    ("names", "body", "words"),
    [
        (["*.example.com"], {}, "--domain"),
        (["*.example.com"], {"user_domain": "a.b.example.com"}, "not for a.b.example.com"),
        (["*.example.com"], {"user_domain": "example.com"}, "not for example.com"),
        (["www.example.com"], {"user_domain": "example.com"}, "not for example.com"),
        (["www.example.com"], {"default": True}, "installation's own certificate"),
    ],
)
def test_what_a_certificate_is_not_for(
    world: ApiApp, names: list[str], body: dict[str, object], words: str
) -> None:
    certificate = give(world, *names)
    vhosts = world.service()["_links"]["vhosts"]["href"]
    answer = create_in(world.admin, vhosts, certificate=certificate["id"], **body)
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert world.store.endpoints.of_app(world.app.id) == []


def test_another_environments_certificate_is_as_unknown_as_none(world: ApiApp) -> None:
    other = world.store.apps.create_environment("other")
    foreign = world.store.certificates.add(other.id, *given_certificate("www.example.com"))
    vhosts = world.service()["_links"]["vhosts"]["href"]
    answers = [
        create_in(world.admin, vhosts, certificate=named)
        for named in (foreign.id, f"{ROOT}/certificates/{foreign.id}", 999, "/x/1", "", "9" * 30)
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.text for answer in answers}) == 1
