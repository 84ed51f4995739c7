"""Requests without pause while an app is released again and again: how many fail?

scripts/bench downtime            # 100 deploys, some ten minutes
scripts/bench downtime --quick    # 10 deploys
scripts/bench downtime --write    # … and write its section of docs/benchmarks.md
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench.pushing.page import markdown_table, write_section
from testbed.engine import PrivateEngine
from testbed.images import Images
from testbed.installation import Installation
from testbed.load import Clients, Load, Tally
from testbed.person import Person
from testbed.registry import PrivateRegistry

_TITLE = "A hundred deploys under load"
_SLOW = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\nContent-Length: 5\\r\\n\\r\\n'
sleep 1
echo slow
"""
_PAGES = {b"web 1\n", b"web 2\n"}
_NOTES = """\
A whole installation, real containers (busybox httpd, two of them) behind HAProxy; each deploy pulls
the other of two images. Four clients keep their connections, four open a new one for each request,
two ask for a page that takes a second. Nothing is tried twice by the clients, and each body is
compared to its last byte. *Releases* counts deploys that exited 0."""


@click.command()
@click.option("--quick", is_flag=True, help="10 deploys.")
@click.option("--write", is_flag=True, help="Write the section of docs/benchmarks.md.")
def main(*, quick: bool, write: bool) -> None:
    """Deploy under load, and count what failed."""
    with TemporaryDirectory(prefix="enclave-bench-") as directory:
        body = _measure(Path(directory), 10 if quick else 100)
    click.echo(body)
    if write:
        write_section(_TITLE, f"{body}\n\n{_NOTES}", by="downtime")


def _measure(directory: Path, deploys: int) -> str:
    with (
        PrivateEngine(directory / "engine") as engine,
        PrivateRegistry(directory / "registry") as registry,
        Installation(engine.url) as platform,
    ):
        images = Images(engine.url, registry)
        references = [_publish(images, version) for version in ("1", "2")]
        person = _prepare(platform, registry, references[0])
        host = f"app-{platform.app_id('bench/shop')}.localhost"
        clients = [Clients(4), Clients(4, fresh=True), Clients(2, path="/cgi-bin/slow")]
        began, released = time.monotonic(), 0
        with Load(platform.router_http_port, host, clients, _is_whole) as load:
            for number in range(1, deploys + 1):
                image = references[number % 2]
                done = person.aptible("deploy", "--app", "shop", "--docker-image", image)
                released += done.returncode == 0
        return _table(load.tally, released, time.monotonic() - began)


def _publish(images: Images, version: str) -> str:
    files = {"/www/index.html": f"web {version}\n", "/www/cgi-bin/slow": _SLOW}
    return images.publish(f"shop:{version}", files=files, cmd=["/bin/serve"], expose=[8080])


def _prepare(platform: Installation, registry: PrivateRegistry, image: str) -> Person:
    """Bring an app with two routed containers up; return its owner."""
    person = platform.person("bench@example.com")
    platform.enclave("environment", "create", "bench", "--admin", "bench@example.com")
    person.log_in()
    app = ("--app", "shop")
    for command in (
        ("apps:create", "shop", "--environment", "bench"),
        (
            *("deploy", *app, "--docker-image", image, "--container-count", "2"),
            *("--private-registry-username", registry.username),
            *("--private-registry-password", registry.password),
        ),
        ("services:settings", *app, "cmd", "--stop-timeout", "1"),
        ("endpoints:https:create", *app, "cmd", "--default-domain"),
    ):
        person.aptible(*command).check_returncode()
    return person


def _is_whole(path: str, body: bytes) -> bool:
    return body == b"slow\n" if "slow" in path else body in _PAGES


def _table(tally: Tally, released: int, seconds: float) -> str:
    head = ("releases", "requests", "of these slow", "failed", "seconds")
    row = (
        str(released),
        str(tally.requests),
        str(tally.whole["/cgi-bin/slow"]),
        str(tally.failed),
        f"{seconds:.0f}",
    )
    return "\n".join([markdown_table(head, [row]), *tally.failures])


if __name__ == "__main__":
    main()
