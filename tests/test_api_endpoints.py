"""Endpoints as the API's clients create, show and remove them (API.md, vhosts)."""

from pathlib import Path
from typing import Any

import pytest
from api_app import ROOT, ApiApp, create_in, follow

from enclave.app import Service
from enclave.endpoint import EndpointStatus
from enclave.operation import OperationStatus, OperationType
from enclave.store import Store
from enclave.store.leases import Ending, EndpointEnd

RUBY = {
    "type": "http",
    "platform": "alb",
    "default": True,
    "internal": False,
    "acme": False,
    "ip_whitelist": [],
}
"""What the toolbelt sends for ``endpoints:https:create web --default-domain``."""


@pytest.fixture
def world(store: Store, tmp_path: Path) -> ApiApp:
    world = ApiApp(store, tmp_path)
    world.put_live()
    return world


def create(world: ApiApp, process_type: str = "web", **body: object) -> dict[str, Any]:
    address = world.service(process_type)["_links"]["vhosts"]["href"]
    answer = create_in(world.admin, address, **body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def end(world: ApiApp, vhost: dict[str, Any], status: EndpointStatus) -> None:
    """Be the worker that ends an operation on the endpoint."""
    world.store.leases.finish(
        world.take(),
        Ending(
            OperationStatus.SUCCEEDED,
            "",
            state=world.app.state,
            secrets=world.store.apps.secrets(world.app.id),
            endpoints=(EndpointEnd(vhost["id"], status, vhost["external_host"]),),
        ),
    )


def test_a_default_domain_from_creation_to_its_end(world: ApiApp) -> None:
    service = world.service("web")
    vhost = create(world, **RUBY)
    host = f"app-{world.app.id}.localhost"
    endpoint, _ = world.store.endpoints.endpoint(vhost["id"])
    assert {key: value for key, value in vhost.items() if key != "_links"} == {
        "_type": "vhost",
        "id": vhost["id"],
        "external_host": host,
        "virtual_domain": host,
        "status": "pending",
        "created_at": endpoint.created_at,
        "type": "http",
        "platform": "alb",
        "process_type": "web",
        "container_port": None,
        "load_balancing_algorithm_type": "round_robin",
        "shared": False,
        "internal": False,
        "ip_whitelist": [],
        "default": True,
        "acme": False,
        "user_domain": None,
        "acme_dns_challenge_host": None,
        "acme_status": None,
        "current_setting": None,
    }
    assert follow(world.admin, vhost, "self") == vhost
    assert follow(world.admin, vhost, "service") == service
    assert follow(world.admin, service, "vhosts")["_embedded"]["vhosts"] == [vhost]
    assert follow(world.admin, service, "vhosts")["_links"]["self"]["href"] == (
        f"{ROOT}/services/{service['id']}/vhosts"
    )
    assert follow(world.admin, world.service("worker"), "vhosts")["total_count"] == 0

    for type_, status in [
        (OperationType.PROVISION, EndpointStatus.PROVISIONED),
        (OperationType.DEPROVISION, EndpointStatus.DEPROVISIONED),
    ]:
        operations = vhost["_links"]["operations"]["href"]
        answer = create_in(world.admin, operations, type=type_, settings={"FORCE_SSL": "true"})
        request, _ = world.asked(answer)
        assert (request.type, request.endpoint) == (type_, endpoint)
        assert answer.json()["_links"]["resource"] == vhost["_links"]["self"]
        listed = follow(world.admin, vhost, "operations")
        assert listed["_embedded"]["operations"][0] == answer.json()
        assert listed["_links"]["self"]["href"] == operations
        end(world, vhost, status)
        assert follow(world.admin, vhost, "self")["status"] == status
    assert follow(world.admin, service, "vhosts")["total_count"] == 0
    answer = world.admin.post(operations, json={"type": "provision"})
    assert answer.status_code == 422
    assert "create another one" in answer.json()["message"]
    create(world, **RUBY)  # its name is free again


def test_a_domain_of_ones_own(world: ApiApp) -> None:
    vhost = create(
        world,
        user_domain="WWW.Example.com.",
        container_port=3000,
        ip_whitelist=["10.0.0.1", "192.168.0.0/16"],
    )
    assert vhost["external_host"] == "www.example.com"
    assert vhost["user_domain"] == "www.example.com"
    assert vhost["container_port"] == 3000
    assert vhost["ip_whitelist"] == ["10.0.0.1/32", "192.168.0.0/16"]
    assert vhost["default"] is False


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "--default-domain"),
        ({"default": True, "user_domain": "www.example.com"}, 422, "not both"),
        ({"user_domain": "not a domain"}, 422, "no domain|not a domain"),
        ({"user_domain": "x.localhost"}, 409, "--default-domain"),
        ({"user_domain": "taken.example.com"}, 409, "exists already"),
        ({"default": True, "container_port": 0}, 422, "1 to 65535"),
        ({"default": True, "ip_whitelist": ["everyone"]}, 422, "whitelist"),
        ({"default": True, "type": "tcp"}, 422, "type 'http'"),
        ({"default": True, "internal": True}, 422, "Internal endpoints"),
        ({"acme": True, "user_domain": "www.example.com"}, 422, "Managed TLS"),
        ({"default": True, "container_port": "many"}, 422, "container_port"),
    ],
)
def test_what_cannot_be(world: ApiApp, body: dict[str, object], status: int, words: str) -> None:
    create(world, user_domain="taken.example.com")
    address = world.service("web")["_links"]["vhosts"]["href"]
    answer = create_in(world.admin, address, **body)
    assert answer.status_code == status
    assert any(word in answer.json()["message"] for word in words.split("|"))
    assert follow(world.admin, world.service("web"), "vhosts")["total_count"] == 1


def test_other_operations_are_refused(world: ApiApp) -> None:
    vhost = create(world, **RUBY)
    answer = world.admin.post(vhost["_links"]["operations"]["href"], json={"type": "renew"})
    assert answer.status_code == 422
    assert "provision and deprovision, not 'renew'" in answer.json()["message"]
    assert world.store.operations.unfinished(world.app.id) == []


def test_those_of_a_service_that_went_can_still_be_removed(world: ApiApp) -> None:
    vhost = create(world, "worker", **RUBY)
    world.put_live(2, services=(Service("web", None, 1),))
    listed = world.admin.get(f"{world.path}/vhosts").json()
    [shown] = listed["_embedded"]["vhosts"]
    assert "service" in vhost["_links"]
    del vhost["_links"]["service"]  # that address answers 404 from now on
    assert shown == vhost
    answer = create_in(world.admin, vhost["_links"]["operations"]["href"], type="deprovision")
    assert answer.status_code == 201
