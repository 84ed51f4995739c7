"""What a person does after the first deploy, by ``aptible`` alone, with real parts (SPEC 6)."""

import httpx
import pytest
from conftest import App

from testbed.images import Images
from testbed.load import Clients, Load
from testbed.person import Finished

SLOW = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\nContent-Length: 5\\r\\n\\r\\n'
sleep 1
echo slow
"""
SITE = {"/www/index.html": "web {version}\n", "/www/healthcheck": "ok\n", "/www/cgi-bin/slow": SLOW}


def aptible(app: App, command: str, *arguments: str) -> Finished:
    finished = app.owner.aptible(command, "--app", app.handle, *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def image(images: Images, version: str) -> str:
    """Publish a web server that also has a slow page."""
    files = {path: text.replace("{version}", version) for path, text in SITE.items()}
    return images.publish(f"shop:{version}", files=files, cmd=["/bin/serve"], expose=[8080])


@pytest.fixture
def routed(app: App, images: Images) -> App:
    """An app with the services ``web``, which has an endpoint, and ``clock``."""
    assert app.deploy_image(image(images, "1")).returncode == 0
    app.repository.commit(Procfile="web: exec serve\nclock: sleep 600\n")
    assert app.repository.push().returncode == 0
    app.comes_to_serve(clock=1, web=1)
    aptible(app, "services:settings", "web", "--stop-timeout", "1")
    aptible(app, "services:settings", "clock", "--stop-timeout", "0")
    aptible(app, "endpoints:https:create", "web", "--default-domain")
    return app


def host(app: App) -> str:
    return f"app-{app.installation.app_id(app.name)}.localhost"


def page(app: App, path: str = "/") -> tuple[int, str]:
    """Ask the router, under the endpoint's name."""
    url = f"http://127.0.0.1:{app.installation.router_http_port}{path}"
    answer = httpx.get(url, headers={"Host": host(app)}, timeout=20, trust_env=False)
    return answer.status_code, answer.text


def operations(app: App) -> dict[str, set[str]]:
    """Which operations made the containers of each service that run now."""
    made: dict[str, set[str]] = {}
    for each in app.installation.containers(app.name):
        made.setdefault(each["service"], set()).add(each["operation"])
    return made


def test_each_command_does_what_it_says(routed: App, images: Images) -> None:
    assert page(routed) == (200, "web 1\n")
    assert host(routed) in aptible(routed, "endpoints:list").stdout

    before = operations(routed)
    aptible(routed, "apps:scale", "web", "--container-count", "2", "--container-size", "128")
    routed.comes_to_serve(clock=1, web=2)
    assert operations(routed)["clock"] == before["clock"]
    assert page(routed) == (200, "web 1\n")

    aptible(routed, "config:set", "COLOUR=red")
    routed.comes_to_serve(clock=1, web=2)
    assert "red" in aptible(routed, "config").stdout
    assert operations(routed)["clock"] != before["clock"]

    assert routed.deploy("--docker-image", image(images, "2")).returncode == 0
    assert page(routed) == (200, "web 2\n")
    aptible(routed, "config:rm", "COLOUR")
    assert "COLOUR" not in aptible(routed, "config").stdout

    old = operations(routed)
    aptible(routed, "restart")
    routed.comes_to_serve(clock=1, web=2)
    assert not set.union(*operations(routed).values()) & set.union(*old.values())

    listed = aptible(routed, "releases").stdout
    assert "live" in listed
    assert "shop:2" in listed


def test_a_rollback_needs_neither_registry_nor_git(routed: App, images: Images) -> None:
    resource = aptible(routed, "releases").stdout
    assert routed.deploy("--docker-image", image(images, "2"), "COLOUR=blue").returncode == 0
    assert page(routed) == (200, "web 2\n")
    refs = routed.repository.remote_refs()

    routed.registry.stop()
    try:
        aptible(routed, "rollback", "2")
    finally:
        routed.registry.start()

    assert page(routed) == (200, "web 1\n"), resource
    assert "COLOUR" not in aptible(routed, "config").stdout
    assert routed.repository.remote_refs() == refs


def test_nobody_notices_a_release(routed: App, images: Images) -> None:
    """Kept and fresh connections and slow requests go on through deploys and restarts."""
    two = image(images, "2")

    def is_whole(path: str, body: bytes) -> bool:
        return body == b"slow\n" if "slow" in path else body in {b"web 1\n", b"web 2\n"}

    clients = [Clients(2), Clients(2, fresh=True), Clients(2, path="/cgi-bin/slow")]
    with Load(routed.installation.router_http_port, host(routed), clients, is_whole) as load:
        assert routed.deploy("--docker-image", two).returncode == 0
        aptible(routed, "restart")
        aptible(routed, "apps:scale", "web", "--container-count", "2")
        aptible(routed, "rollback", "2")
    assert load.tally.failures == []
    assert load.tally.whole["/cgi-bin/slow"] > 0
    assert load.tally.requests > 500
    routed.comes_to_serve(clock=1, web=2)


def test_a_release_that_is_not_healthy_gets_no_request(routed: App, images: Images) -> None:
    aptible(routed, "config:set", "RELEASE_HEALTHCHECK_TIMEOUT=3")
    deaf = images.publish("shop:deaf", cmd=["/bin/sleep", "600"], expose=[8080])
    routed.repository.commit(Procfile="web: sleep 600\nclock: sleep 600\n")
    assert routed.repository.push("master:deaf").returncode == 0
    refused = routed.deploy("--docker-image", deaf, "--git-commitish", "deaf")
    assert refused.returncode == 1
    assert "did not become healthy within 3 s" in refused.stdout + refused.stderr
    assert page(routed) == (200, "web 1\n")


def test_the_hooks_run_where_they_should(routed: App) -> None:
    routed.repository.commit(
        _aptible_yml=(
            "before_release: echo before\n"
            "after_deploy_success: echo it went live\n"
            "after_deploy_failure: echo it did not\n"
        )
    )
    pushed = routed.repository.push()
    assert pushed.returncode == 0, pushed.stderr
    said = pushed.stderr
    assert said.index("before_release 1 of 1") < said.index("Switching requests")
    assert said.index("Switching requests") < said.index("it went live")

    routed.repository.commit(_aptible_yml="before_release: exit 1\n")
    failed = routed.repository.push()
    assert failed.returncode == 1
    assert "it did not" in failed.stderr


def test_an_app_that_is_deprovisioned_is_gone(routed: App) -> None:
    name, old = routed.name, host(routed)
    aptible(routed, "apps:deprovision")

    assert routed.installation.containers(name, every=True) == []
    port = routed.installation.router_http_port
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"Host": old}, trust_env=False)
    assert answer.status_code == 404
    routed.repository.commit("late")
    assert routed.repository.push().returncode != 0
    again = routed.owner.aptible("apps:create", routed.handle, "--environment", "stories")
    assert again.returncode == 0, again.stderr
