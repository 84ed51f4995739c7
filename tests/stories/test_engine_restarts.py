"""A Docker Engine that dies in mid-deploy and comes back: the old release serves again."""

import threading
from pathlib import Path

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry


def test_the_old_release_is_brought_back(tmp_path: Path, registry: PrivateRegistry) -> None:
    with PrivateEngine(tmp_path / "engine") as engine, Installation(engine.url) as installation:
        bob = installation.person("bob@example.com")
        installation.enclave("environment", "create", "shaky", "--admin", bob.email)
        bob.log_in()
        bob.aptible("apps:create", "shop", "--environment", "shaky").check_returncode()
        deployed = bob.aptible(
            *("deploy", "--app", "shop", "--docker-image", Images(engine.url, registry).web("1")),
            *("--private-registry-username", registry.username),
            *("--private-registry-password", registry.password),
        )
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        repository = bob.repository("shaky/shop")
        # Two services: by the time the first has started, the old release is stopped.
        repository.commit(Procfile="web: exec serve\nbad: sleep 600\n")
        push = bob.start("git", "push", "aptible", "master", cwd=repository.path)
        assert push.stdout is not None
        for line in push.stdout:
            if "STARTING: Starting" in line:
                break

        engine.kill()
        threading.Timer(3, engine.restart).start()
        said, _ = push.communicate(timeout=90)

        assert push.returncode == 1, said
        assert "serves again" in said or "serves on" in said
        assert repository.remote_refs() == {}
        wait_until(
            lambda: [each["service"] for each in installation.containers("shaky/shop")] == ["cmd"],
            seconds=30,
            what="the old release is not back",
        )
        assert installation.get("shaky/shop") == "web 1\n"
        again = repository.push()
        assert again.returncode == 0, again.stderr
