"""A platform of its own for faults: engine, registry, installation, all of which can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testbed.engine import PrivateEngine
from testbed.faults.cells import Victim
from testbed.faults.checkpoints import Checkpoints
from testbed.images import Images
from testbed.installation import Installation
from testbed.person import Person
from testbed.processes import wait_until
from testbed.registry import PrivateRegistry

ENVIRONMENT = "faults"
SETTINGS = {
    "ENCLAVE_LEASE_SECONDS": "3",
    "ENCLAVE_SETTLE_SECONDS": "0.3",
    "ENCLAVE_STOP_SECONDS": "1",
    "ENCLAVE_KEEPALIVE_SECONDS": "1",
    "ENCLAVE_ENGINE_SECONDS": "20",
    "ENCLAVE_DRAIN_SECONDS": "3",
    "ENCLAVE_COURIERS": "1",
}
_BACK_SECONDS = 60


class ShakyPlatform:
    """Real parts, each of which can be killed and comes back."""

    def __init__(
        self, engine: PrivateEngine, registry: PrivateRegistry, installation: Installation
    ) -> None:
        self.engine, self.registry, self.installation = engine, registry, installation
        self.checkpoints = Checkpoints(Path(installation.environment["ENCLAVE_CHECKPOINTS"]))
        self.images = Images(engine.url, registry)
        self.ann: Person = installation.person("ann@example.com")
        installation.enclave("environment", "create", ENVIRONMENT, "--admin", self.ann.email)
        self.ann.log_in()

    def create_app(self, handle: str) -> str:
        """Create an app with an image live; return ``ENVIRONMENT/HANDLE``."""
        self.ann.aptible("apps:create", handle, "--environment", ENVIRONMENT).check_returncode()
        deployed = self.ann.aptible(
            *("deploy", "--app", handle, "--docker-image", self.images.web("1")),
            *("--private-registry-username", self.registry.username),
            *("--private-registry-password", self.registry.password),
        )
        if deployed.returncode:
            raise AssertionError(deployed.stdout + deployed.stderr)
        return f"{ENVIRONMENT}/{handle}"

    def kill(self, victim: Victim, client: subprocess.Popen[str] | None = None) -> None:
        """``kill -9``; what is not started again by a supervisor stays away."""
        installation = self.installation
        match victim:
            case Victim.RECEIVER:
                _kill(installation.pids("receiver"))
            case Victim.WORKER:
                _kill(installation.workers())
            case Victim.HORSE:
                _kill(installation.horses())
            case Victim.REDIS:
                _kill(installation.pids("redis-server"))
            case Victim.ROUTER:
                installation.kill("router")
            case Victim.HAPROXY:
                installation.kill("haproxy")
            case Victim.ENGINE:
                self.engine.kill()
            case Victim.CLIENT:
                _kill_group(client)
            case Victim.EVERYTHING:
                self.engine.kill()
                _kill_group(client)
                installation.kill_all()

    def bring_back(self, victim: Victim) -> None:
        """Return when the victim is there again. Raises ``PartUnavailable``."""
        installation = self.installation
        if victim in (Victim.ENGINE, Victim.EVERYTHING):
            self.engine.restart()
        match victim:
            case Victim.EVERYTHING:
                installation.start()
            case Victim.RECEIVER | Victim.REDIS:
                installation.wait_until_answering()
            case Victim.ROUTER | Victim.HAPROXY:
                wait_until(
                    lambda: bool(installation.pids(victim.lower())),
                    seconds=_BACK_SECONDS,
                    what=f"{victim} did not come back",
                )
            case Victim.WORKER:
                wait_until(
                    lambda: len(installation.workers()) == 2,
                    seconds=_BACK_SECONDS,
                    what="the workers did not come back",
                )


@contextmanager
def shaky_platform(directory: Path) -> Iterator[ShakyPlatform]:
    """Lend a platform that is gone at the end; everything it writes lies in ``directory``."""
    checkpoints = directory / "checkpoints"
    checkpoints.mkdir(parents=True)
    with ExitStack() as stack:
        engine = stack.enter_context(PrivateEngine(directory / "engine"))
        registry = stack.enter_context(PrivateRegistry(directory / "registry"))
        settings = {**SETTINGS, "ENCLAVE_CHECKPOINTS": str(checkpoints)}
        installation = stack.enter_context(Installation(engine.url, settings=settings))
        yield ShakyPlatform(engine, registry, installation)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _kill_group(client: subprocess.Popen[str] | None) -> None:
    if client is not None and client.poll() is None:
        os.killpg(client.pid, signal.SIGKILL)
