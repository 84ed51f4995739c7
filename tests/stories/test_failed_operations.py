"""After a failed operation the app serves exactly what it served before (invariant 5)."""

import pytest
from conftest import App

from testbed.images import Images


@pytest.mark.parametrize(
    ("procfile", "aptible_yml"),
    [
        ("web: exec serve\n", "before_release: exit 7\n"),
        ("web: exec serve\nbad: exit 9\n", ""),
        ("web: /no/such/program\n", ""),
    ],
    ids=["before_release fails", "a service dies", "no such program"],
)
def test_a_failed_deploy_changes_nothing(procfile: str, aptible_yml: str, live_app: App) -> None:
    live_app.repository.commit(Procfile="web: exec serve\nclock: sleep 600\n")
    assert live_app.repository.push().returncode == 0
    live_app.comes_to_serve(clock=1, web=1)
    before = live_app.installation.containers(live_app.name)
    refs = live_app.repository.remote_refs()
    environment = live_app.get("/cgi-bin/env", service="web")

    live_app.repository.commit(Procfile=procfile, _aptible_yml=aptible_yml)
    pushed = live_app.repository.push()

    assert pushed.returncode == 1
    assert "serves on, as before" in pushed.stderr or "serves again" in pushed.stderr
    assert live_app.repository.remote_refs() == refs
    assert live_app.installation.containers(live_app.name, every=True) == before
    assert live_app.serving() == {"clock": 1, "web": 1}
    assert _without_host(live_app.get("/cgi-bin/env", service="web")) == _without_host(environment)


def test_a_failed_deploy_keeps_image_configuration_and_commit(
    live_app: App, images: Images
) -> None:
    failed = live_app.deploy("--docker-image", images.broken(), "NEW=1")
    assert failed.returncode == 1

    assert live_app.deploy().returncode == 0
    assert live_app.get() == "web 1\n"
    assert "NEW=1" not in live_app.get("/cgi-bin/env")


def test_a_first_deploy_that_fails_leaves_the_app_pending(app: App, images: Images) -> None:
    failed = app.deploy_image(images.broken())

    assert failed.returncode == 1
    assert app.installation.containers(app.name, every=True) == []
    assert '"status":"pending"' in _app_resource(app)
    assert app.deploy().returncode == 1  # nothing was stored: there is nothing to deploy


def _without_host(environment: str) -> list[str]:
    """The environment without what differs between two containers and two requests."""
    changing = ("HOSTNAME=", "REMOTE_", "HTTP_", "SERVER_")
    return sorted(line for line in environment.splitlines() if not line.startswith(changing))


def _app_resource(app: App) -> str:
    url = f"{app.owner.url}/find/app?handle={app.handle}"
    bearer = f"Authorization: Bearer {app.owner.token()}"
    return app.owner.run("curl", "-sS", "--fail", "-H", bearer, url).stdout.replace(" ", "")
