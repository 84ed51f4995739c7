"""The demo: the whole story of a git-push deploy, each command shown before it runs.

Everything is real and private: a Docker Engine, a registry with a password, ``enclave up``, git
over SSH. Everything is removed at the end.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.text import Text

from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.person import Finished, Person, Repository
from testbed.processes import PartUnavailable
from testbed.registry import PrivateRegistry

APP = "shop"
ENVIRONMENT = "demo"
PROCFILE = "web: exec serve\nclock: while true; do date; sleep 5; done\n"
APTIBLE_YML = "before_release:\n  - echo Migrating the database of $SHOP_NAME\n"
BROKEN_PROCFILE = "web: exec serve\nthis line has no colon\nWEB: exec serve\n"


class Surprise(Exception):
    """A step of the demo did not do what the story says."""


class Demo:
    """Tells the story on one installation, as one person."""

    def __init__(self, console: Console, installation: Installation, images: Images) -> None:
        self._console = console
        self._installation = installation
        self._images = images
        self._registry = images.registry
        self._person: Person
        self._repository: Repository

    def tell(self) -> None:
        """Run every step. Raises ``Surprise`` at the first that goes otherwise."""
        self._prepare()
        steps: list[tuple[str, Callable[[], None]]] = [
            ("(a) Deploy an image from a private registry", self._deploy_image),
            ("(b) Deploy again: the stored image is resolved and pulled again", self._redeploy),
            ("(c) Push a Procfile with two services and an .aptible.yml", self._push),
            ("(d) Push another branch: its config is stored, nothing deploys", self._stage),
            ("(e) Deploy a new image together with that branch", self._deploy_together),
            ("(f) Detach from git: the image alone decides", self._detach),
            ("(g) A broken Procfile is refused, with line numbers", self._break_procfile),
            ("(h) A failing before_release rejects the push", self._fail_release),
        ]
        for title, step in steps:
            self._title(title)
            step()

    def _prepare(self) -> None:
        self._title("A platform, a user, an environment, an app")
        email = "ann@example.com"
        self._person = self._installation.person(email)
        self._say(f"enclave user create {email}; enclave key add {email} id_ed25519.pub")
        self._say(f"enclave environment create {ENVIRONMENT} --admin {email}")
        self._installation.enclave("environment", "create", ENVIRONMENT, "--admin", email)
        password = ("--password", self._person.password)
        self._aptible("login", "--email", email, *password, hide=self._person.password)
        self._aptible("apps:create", APP, "--environment", ENVIRONMENT)
        self._repository = self._person.repository(f"{ENVIRONMENT}/{APP}")

    def _deploy_image(self) -> None:
        self._aptible(
            *("deploy", "--app", APP, "--docker-image", self._images.web("1")),
            *("--private-registry-username", self._registry.username),
            *("--private-registry-password", self._registry.password),
            "SHOP_NAME=Enclave",
            hide=self._registry.password,
        )
        self._look("web 1", services={"cmd"})

    def _redeploy(self) -> None:
        self._images.web("1")  # the tag moves to a new build
        self._aptible("deploy", "--app", APP)
        self._look("web 1", services={"cmd"})

    def _push(self) -> None:
        self._write(Procfile=PROCFILE, _aptible_yml=APTIBLE_YML)
        log = self._git("push", "aptible", "master")
        self._expect("Migrating the database of Enclave", log)
        self._look("web 1", services={"web", "clock"})

    def _stage(self) -> None:
        self._write(Procfile=PROCFILE + "mailer: while true; do sleep 60; done\n")
        log = self._git("push", "aptible", "master:update-the-Procfile")
        self._expect("Nothing was deployed", log)
        self._look("web 1", services={"web", "clock"})

    def _deploy_together(self) -> None:
        self._aptible(
            *("deploy", "--app", APP, "--git-commitish", "update-the-Procfile"),
            *("--docker-image", self._images.web("2")),
        )
        self._look("web 2", services={"web", "clock", "mailer"})

    def _detach(self) -> None:
        self._aptible("deploy", "--app", APP, "--git-detach")
        self._look("web 2", services={"cmd"})

    def _break_procfile(self) -> None:
        self._write(Procfile=BROKEN_PROCFILE)
        log = self._git("push", "aptible", "master", fails=True)
        self._expect("Procfile:2", log)
        self._expect("Procfile:3", log)
        self._look("web 2", services={"cmd"})

    def _fail_release(self) -> None:
        self._write(Procfile=PROCFILE, _aptible_yml="before_release: echo No luck; exit 3\n")
        log = self._git("push", "aptible", "master", fails=True)
        self._expect("[remote rejected] master -> master (deploy failed", log)
        self._look("web 2", services={"cmd"})

    def _aptible(self, *arguments: str, hide: str = "") -> None:
        shown = shlex.join(["aptible", *arguments])
        self._say(shown.replace(shlex.quote(hide), "********") if hide else shown)
        self._show(self._person.aptible(*arguments), fails=False)

    def _git(self, *arguments: str, fails: bool = False) -> str:
        self._say(shlex.join(["git", *arguments]))
        return self._show(self._repository.git(*arguments), fails=fails)

    def _write(self, **files: str) -> None:
        """Show files being written, and commit them."""
        for name, text in files.items():
            shown = name.replace("_aptible_yml", ".aptible.yml")
            self._say(f"cat > {shown} <<EOF\n{text}EOF")
        self._say("git add --all && git commit -q -m 'a change'")
        self._repository.commit(**files)

    def _show(self, finished: Finished, *, fails: bool) -> str:
        """Print what a command said, and check how it ended."""
        said = finished.stdout + finished.stderr
        for line in said.splitlines():
            style = "red" if "ERROR" in line or "rejected" in line else ""
            self._console.print(Text(f"  {line.rstrip()}", style))
        if (finished.returncode != 0) != fails:
            raise Surprise(f"exit status {finished.returncode}")
        self._console.print(Text(f"  exit status {finished.returncode}", "dim"))
        return said

    def _await(self, services: set[str]) -> None:
        """Wait for services that vanished to be stopped, which is after the release."""
        name = f"{ENVIRONMENT}/{APP}"
        deadline = time.monotonic() + 30
        while {each["service"] for each in self._installation.containers(name)} != services:
            if time.monotonic() > deadline:
                return  # what is looked at next says what is wrong
            time.sleep(0.1)

    def _look(self, page: str, *, services: set[str]) -> None:
        """Show what runs, and what the web service says."""
        self._await(services)
        containers = self._installation.containers(f"{ENVIRONMENT}/{APP}")
        self._say("docker ps")
        for each in containers:
            self._console.print(Text(f"  {each['name']}  {each['image'][7:19]}  {each['address']}"))
        running = {each["service"] for each in containers}
        if running != services:
            raise Surprise(f"{running} run, not {services}")
        web = "web" if "web" in services else "cmd"
        address = next(each["address"] for each in containers if each["service"] == web)
        self._say(f"curl http://{address}:8080/")
        said = self._installation.get(f"{ENVIRONMENT}/{APP}", service=web)
        self._console.print(Text(f"  {said.strip()}"))
        self._expect(page, said)

    def _expect(self, words: str, said: str) -> None:
        if words not in said:
            raise Surprise(f"nothing says {words!r}")

    def _title(self, text: str) -> None:
        self._console.print()
        self._console.rule(Text(text, "bold cyan"), align="left")

    def _say(self, command: str) -> None:
        self._console.print(Text(f"$ {command}", "bold green"))


def main() -> None:
    """Tell the story; the exit status says whether it went as told."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    try:
        with ExitStack() as parts:
            directory = Path(parts.enter_context(tempfile.TemporaryDirectory()))
            engine = parts.enter_context(PrivateEngine(directory / "engine"))
            registry = parts.enter_context(PrivateRegistry(directory / "registry"))
            installation = parts.enter_context(Installation(engine.url))
            Demo(console, installation, Images(engine.url, registry)).tell()
            console.print("\nRemoving everything that was made …")
    except (Surprise, PartUnavailable) as problem:
        console.print(Text(f"\nThe demo did not go as told: {problem}", "bold red"))
        sys.exit(1)
    console.print(f"Done in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
