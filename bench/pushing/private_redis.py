"""A Redis as durable as an installation's: every write is on the disk before it is answered."""

from __future__ import annotations

import subprocess
from pathlib import Path

from testbed.processes import Child

_READY_SECONDS = 30


def start_redis(directory: Path, socket: Path) -> Child:
    """Start a redis-server with its files in ``directory``; return when it answers."""
    files = directory / "redis"
    files.mkdir()
    redis = Child(
        [
            *("redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(files)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
        ],
        log=directory / "redis.log",
    )
    ping = ["redis-cli", "-s", str(socket), "ping"]

    def answers() -> bool:
        answer = subprocess.run(ping, capture_output=True, check=False, timeout=_READY_SECONDS)
        return answer.stdout == b"PONG\n"

    redis.wait_ready(answers, seconds=_READY_SECONDS)
    return redis
