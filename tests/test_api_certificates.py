"""Certificates as clients give them, and the endpoints that have them (API.md, vhosts)."""

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_app import ROOT, UNKNOWN, ApiApp, create_in, follow
from certificates import given_certificate

from enclave.endpoint import Endpoint
from enclave.people import Role
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


def test_what_openssl_refuses_is_refused_at_once(
    world: ApiApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rules may be stricter than ours: the machine's own policy counts."""
    context = ssl.SSLContext

    def stricter(protocol: int) -> ssl.SSLContext:
        made = context(protocol)
        made.set_ciphers("DEFAULT@SECLEVEL=4")  # 192 bits: not P-256
        return made

    chain, key = given_certificate("www.example.com")
    path = f"/accounts/{world.environment.id}/certificates"
    with monkeypatch.context() as patch:
        patch.setattr("api.certificates.ssl.SSLContext", stricter)
        answer = world.admin.post(path, json={"certificate_body": chain, "private_key": key})
    assert answer.status_code == 422
    assert "OpenSSL does not take it" in answer.json()["message"]
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
    own, _ = world.store.own_certificates.give(*given_certificate("www.example.com"))
    vhosts = world.service()["_links"]["vhosts"]["href"]
    answers = [
        create_in(world.admin, vhosts, certificate=named)
        for named in (
            foreign.id,
            own.id,
            f"{ROOT}/certificates/{foreign.id}",
            999,
            "/x/1",
            "",
            "9" * 30,
        )
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.text for answer in answers}) == 1
    for path in (f"/certificates/{foreign.id}", f"/certificates/{own.id}", "/certificates/999"):
        assert world.admin.get(path).json() == UNKNOWN
    assert world.admin.get("/accounts/0/certificates").json() == UNKNOWN


class TestAnother:
    """An endpoint gets another certificate: said by PUT, made so by its next provisioning."""

    @pytest.fixture
    def vhost(self, world: ApiApp) -> dict[str, Any]:
        first = give(world, "www.example.com")
        vhosts = world.service()["_links"]["vhosts"]["href"]
        body = {"certificate": first["id"], "container_port": 3000, "ip_whitelist": ["10.0.0.0/8"]}
        vhost: dict[str, Any] = create_in(world.admin, vhosts, **body).json()
        world.provisioned(vhost)
        return vhost

    def change(self, world: ApiApp, vhost: dict[str, Any], **body: object) -> httpx.Response:
        answer: httpx.Response = world.admin.put(vhost["_links"]["self"]["href"], json=body)
        return answer

    def provision(self, world: ApiApp, vhost: dict[str, Any]) -> Endpoint:
        """Ask for it; return what the endpoint shall be."""
        operations = vhost["_links"]["operations"]["href"]
        request, _ = world.asked(create_in(world.admin, operations, type="provision"))
        assert request.endpoint is not None
        return request.endpoint

    def test_it_is_asked_for_and_shown_once_it_is_live(
        self, world: ApiApp, vhost: dict[str, Any]
    ) -> None:
        second = give(world, "*.example.com")
        changed = self.change(world, vhost, certificate=second["_links"]["self"]["href"])
        assert changed.status_code == 200, changed.text
        assert follow(world.admin, changed.json(), "certificate") == second
        assert follow(world.admin, vhost, "self") == {**vhost, "status": "provisioned"}

        wanted = self.provision(world, vhost)
        assert (wanted.certificate_id, wanted.port) == (second["id"], 3000)
        assert wanted.ip_whitelist == ("10.0.0.0/8",)
        world.provisioned(vhost)
        assert follow(world.admin, follow(world.admin, vhost, "self"), "certificate") == second

    def test_what_waits_is_counted_in_and_what_failed_is_not(
        self, world: ApiApp, vhost: dict[str, Any]
    ) -> None:
        assert self.change(world, vhost, container_port=1).status_code == 200  # never provisioned
        self.change(world, vhost, container_port=None)
        assert self.provision(world, vhost).port is None
        self.change(world, vhost, ip_whitelist=["192.0.2.7"])
        wanted = self.provision(world, vhost)
        assert (wanted.port, wanted.ip_whitelist) == (None, ("192.0.2.7/32",))

    def test_none_at_all(self, world: ApiApp, vhost: dict[str, Any]) -> None:
        changed = self.change(world, vhost, certificate=None, ip_whitelist=[])
        assert "certificate" not in changed.json()["_links"]
        wanted = self.provision(world, vhost)
        assert (wanted.certificate_id, wanted.ip_whitelist) == (None, ())

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"container_port": 0}, "1 to 65535"),
            ({"ip_whitelist": ["everyone"]}, "whitelist"),
            ({"certificate": 999}, "no such certificate"),
        ],
        ids=["port", "whitelist", "certificate"],
    )
    def test_what_cannot_be(
        self, world: ApiApp, vhost: dict[str, Any], body: dict[str, object], words: str
    ) -> None:
        answer = self.change(world, vhost, **body)
        assert (answer.status_code, words in answer.json()["message"]) == (422, True)
        assert self.provision(world, vhost).port == 3000

    def test_one_for_another_host_or_environment(
        self, world: ApiApp, vhost: dict[str, Any]
    ) -> None:
        other = world.store.apps.create_environment("other")
        foreign = world.store.certificates.add(other.id, *given_certificate("www.example.com"))
        for number, words in ((give(world, "a.example.com")["id"], "not for"), (foreign.id, "no")):
            answer = self.change(world, vhost, certificate=number)
            assert (answer.status_code, words in answer.json()["message"]) == (422, True)

    def test_a_default_domain_takes_none(self, world: ApiApp) -> None:
        vhosts = world.service()["_links"]["vhosts"]["href"]
        vhost = create_in(world.admin, vhosts, default=True).json()
        answer = self.change(world, vhost, certificate=give(world, "*.localhost")["id"])
        assert answer.status_code == 422
        assert "installation's own" in answer.json()["message"]

    @pytest.mark.parametrize(("role", "status"), [(Role.READ, 403), (None, 404)], ids=str)
    def test_who_may_not_deploy_changes_nothing(
        self, world: ApiApp, vhost: dict[str, Any], role: Role | None, status: int
    ) -> None:
        answer = world.person(role).put(f"/vhosts/{vhost['id']}", json={"container_port": 1})
        assert answer.status_code == status
        assert self.provision(world, vhost).port == 3000
