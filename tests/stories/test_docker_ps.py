"""The line of docs/operating.md that shows an operator whose containers run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from bare_runtime import APP, built, docker_engine, remove_all

from enclave.app import App
from enclave.release import Release, ReleasedService
from testbed.engine import PrivateEngine
from testbed.processes import program
from worker.plan import Placement
from worker.serve import serve_only

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def test_it_shows_app_service_index_and_release(engine: PrivateEngine) -> None:
    runtime = docker_engine(engine)
    image = built(engine, runtime, "listed:1", cmd=["/bin/work"])
    placement = Placement("listed", App(int(APP), 1, "prod", "shop", "2026-01-01"))
    release = Release(
        number=12,
        app_id=placement.app.id,
        operation_id=1,
        fence="1",
        user_email="me@example.com",
        created_at="2026-01-01",
        image="listed:1",
        pinned=image.pinned,
        image_id=image.id,
        pushed=None,
        services=(ReleasedService("web", None, None, 2), ReleasedService("cron", None, None, 1)),
        sealed_configuration="",
    )
    line = re.search(r"^docker (ps .*)$", OPERATING.read_text(), re.MULTILINE)
    assert line is not None
    try:
        serve_only(runtime, placement, release, {})
        shown = subprocess.run(
            ["/bin/sh", "-c", f"{program('docker', package='docker.io')} {line[1]}"],
            env={**os.environ, "DOCKER_HOST": engine.url},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    finally:
        remove_all(runtime)
    head, *rows = shown.splitlines()
    assert head.split() == ["name", "service", "index", "release", "STATUS", "CONTAINER", "ID"]
    ours = [row for row in rows if row.startswith("prod/shop")]  # others may have containers, too
    assert sorted(row.split()[:5] for row in ours) == [
        ["prod/shop", "cron", "1", "12", "Up"],
        ["prod/shop", "web", "1", "12", "Up"],
        ["prod/shop", "web", "2", "12", "Up"],
    ]
