"""``aptible deploy --docker-image``: an image from a registry with a password goes live."""

from conftest import App

from testbed.images import Images


def test_a_first_deploy_puts_the_image_live(app: App, images: Images) -> None:
    image = images.web("1")
    finished = app.deploy_image(image, "GREETING=hello there")

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "INFO: Deploy succeeded." in finished.stdout + finished.stderr
    assert app.serving() == {"cmd": 1}
    assert app.get() == "web 1\n"

    environment = app.get("/cgi-bin/env")
    assert "GREETING=hello there\n" in environment
    assert "APTIBLE_PROCESS_TYPE=cmd\n" in environment
    assert "APTIBLE_DOCKER_IMAGE" not in environment
    assert "APTIBLE_PRIVATE_REGISTRY" not in environment


def test_a_redeploy_pulls_the_stored_image_again(live_app: App, images: Images) -> None:
    before = live_app.installation.containers(live_app.name)
    images.publish(
        "web:1",
        files={"/www/index.html": "web 1, built again\n"},
        cmd=["/bin/serve"],
        expose=[8080],
    )

    finished = live_app.deploy()  # the stored image, the stored credentials

    assert finished.returncode == 0, finished.stdout + finished.stderr
    after = live_app.installation.containers(live_app.name)
    assert after[0]["image"] != before[0]["image"]
    assert live_app.get() == "web 1, built again\n"


def test_configuration_changes_with_the_deploy_and_stays(live_app: App) -> None:
    assert live_app.deploy("COLOUR=red", "SIZE=9").returncode == 0
    assert live_app.deploy("COLOUR=").returncode == 0

    environment = live_app.get("/cgi-bin/env")
    assert "COLOUR" not in environment
    assert "SIZE=9\n" in environment


def test_an_image_with_an_entrypoint_runs_as_docker_run_would(app: App, images: Images) -> None:
    finished = app.deploy_image(images.with_entrypoint())

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert app.serving() == {"cmd": 1}


def test_a_wrong_password_fails_and_says_so(app: App, images: Images) -> None:
    finished = app.deploy(
        *("--docker-image", images.web("1")),
        *("--private-registry-username", app.registry.username),
        *("--private-registry-password", "not the password"),
    )

    said = finished.stdout + finished.stderr
    assert finished.returncode == 1
    assert app.registry.address in said
    assert "password" in said
    assert "not the password" not in said
    assert app.serving() == {}


def test_an_unknown_tag_fails_and_the_old_release_serves_on(live_app: App) -> None:
    finished = live_app.deploy("--docker-image", f"{live_app.registry.address}/web:never-built")

    assert finished.returncode == 1
    assert "never-built" in finished.stdout + finished.stderr
    assert live_app.serving() == {"cmd": 1}
    assert live_app.get() == "web 1\n"


def test_an_image_that_dies_fails_with_its_last_words(live_app: App, images: Images) -> None:
    finished = live_app.deploy("--docker-image", images.broken())

    said = finished.stdout + finished.stderr
    assert finished.returncode == 1
    assert "cannot go on" in said
    assert live_app.serving() == {"cmd": 1}
    assert live_app.get() == "web 1\n"


def test_an_image_with_nothing_to_run_is_told_both_remedies(app: App, images: Images) -> None:
    finished = app.deploy_image(images.bare())

    said = finished.stdout + finished.stderr
    assert finished.returncode == 1
    assert "Procfile" in said
    assert "CMD" in said


def test_credentials_stay_with_the_registry_they_came_for(live_app: App) -> None:
    """SPEC 3.2: an image from elsewhere is pulled without them, with a warning."""
    elsewhere = live_app.registry.address.replace("127.0.0.1", "127.0.0.2")
    finished = live_app.deploy("--docker-image", f"{elsewhere}/web:1")

    said = finished.stdout + finished.stderr
    assert finished.returncode == 1
    assert f"credentials are for {live_app.registry.address}" in said
    assert live_app.get() == "web 1\n"
