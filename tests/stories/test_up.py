"""``enclave up``: starts what it needs, keeps what it has, stops cleanly, survives kill -9."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry


def _supervisor(installation: Installation) -> int:
    return int((installation.data / "supervisord.pid").read_text())


def _parts(installation: Installation) -> dict[str, list[int]]:
    return {part: installation.pids(part) for part in ("receiver", "worker", "redis-server")}


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_state_survives_a_restart_and_a_kill_9(
    engine: PrivateEngine, registry: PrivateRegistry, images: Images
) -> None:
    with Installation(engine.url) as installation:
        bob = installation.person("bob@example.com")
        installation.enclave("environment", "create", "kept", "--admin", bob.email)
        bob.log_in()
        bob.aptible("apps:create", "shop", "--environment", "kept").check_returncode()
        deployed = bob.aptible(
            *("deploy", "--app", "shop", "--docker-image", images.web("1")),
            *("--private-registry-username", registry.username),
            *("--private-registry-password", registry.password),
        )
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        assert "Enclave is up." in (installation.directory / "up.log").read_text()
        parts = [pid for pids in _parts(installation).values() for pid in pids]
        assert len(parts) == 4  # two workers

        installation.stop()  # SIGTERM, as Ctrl-C

        assert all(_gone(pid) for pid in parts)
        assert installation.get("kept/shop") == "web 1\n"  # the app does not need us

        installation.start()
        repository = bob.repository("kept/shop")
        commit = repository.commit(Procfile="web: exec serve\n")
        pushed = repository.push()
        assert pushed.returncode == 0, pushed.stderr

        parts = [pid for pids in _parts(installation).values() for pid in pids]
        os.kill(_supervisor(installation), signal.SIGKILL)

        wait_until(
            lambda: all(_gone(pid) for pid in parts), seconds=30, what="a part outlived supervisord"
        )
        installation.stop()
        installation.start()
        assert repository.remote_refs() == {"refs/heads/master": commit}
        assert bob.aptible("deploy", "--app", "shop").returncode == 0


def test_enclave_check_gives_the_verdict_of_the_push(installation: Installation) -> None:
    tree = installation.directory / "tree"
    tree.mkdir()
    (tree / "Procfile").write_text("web: exec serve\n")
    assert "would pass" in installation.enclave("check", str(tree))

    (tree / "Procfile").write_text("web exec serve\n")
    (tree / ".aptible.yml").write_text("before_release: [1, {}]\n")
    refused = subprocess.run(
        [sys.executable, "-m", "admin", "check", str(tree)],
        cwd=installation.directory,
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    assert "Procfile:1:" in refused.stderr
    assert ".aptible.yml:1:" in refused.stderr
