"""``python -m testbed engine DIR``: a private Docker Engine in the foreground.

Prints ``DOCKER_HOST=unix://…`` when it answers, runs until SIGTERM or SIGINT (unless that was
ignored from the start, as in a shell's background), and keeps images and containers in DIR for the
next time.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import threading
from pathlib import Path

from testbed.engine import PrivateEngine
from testbed.processes import PartUnavailable, wait_until

_PREVIOUS_OWNER_SECONDS = 15  # to end, if it is just stopping


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    engine = commands.add_parser("engine", help="run a private Docker Engine in the foreground")
    engine.add_argument("directory", type=Path, help="where its images and containers are kept")
    arguments = parser.parse_args()
    try:
        _run_engine(arguments.directory)
    except PartUnavailable as problem:
        sys.exit(f"up: {problem}")


def _run_engine(directory: Path) -> None:
    ended = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, lambda *_: ended.set())
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("wb") as lock:

        def owned() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_until(
            owned,
            seconds=_PREVIOUS_OWNER_SECONDS,
            what=f"another scripts/up runs with {directory}: stop it first",
        )
        with PrivateEngine(directory, keep=True) as private:
            if not ended.is_set():
                print(f"DOCKER_HOST={private.url}", flush=True)
            ended.wait()


if __name__ == "__main__":
    main()
