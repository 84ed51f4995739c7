"""What a killed Engine leaves behind, and its removal: processes, mounts, bridges, rules, cgroups.

``python -m testbed.sweep RUN DATA [keep]`` is the watcher that every private Engine has: it waits
for the end of its standard input, which comes when the owner of the Engine ends, by ``kill -9``
too. Without the word ``done`` before that end, it kills the Engine and sweeps up after it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testbed.firewall import remove_rules
from testbed.processes import PartUnavailable, program, wait_until

DONE = b"done"
_KILL_SECONDS = 10
_PROGRAMS = ("dockerd", "containerd", "runc")


def sweep(run: Path, data: Path, *, keep: bool) -> None:
    """Kill what still runs of an Engine and remove all its traces.

    ``run`` holds its socket and is in the command line of its processes and the name of its
    cgroups; ``data`` is its data root's parent, removed unless ``keep``. Twice is fine.
    """
    _kill_processes(run)
    _unmount_below(run, data)
    bridges = _bridges_of(data)
    remove_rules(run, bridges)
    for bridge in bridges:
        _remove_bridge(bridge)
    _remove_cgroups(run)
    shutil.rmtree(run, ignore_errors=True)
    if not keep:
        shutil.rmtree(data, ignore_errors=True)


def _kill_processes(run: Path) -> None:
    def all_gone() -> bool:
        pids = list(_processes_of(run))
        for pid in pids:
            _kill(pid)
        return not pids

    wait_until(all_gone, seconds=_KILL_SECONDS, what=f"processes of {run} did not end")


def _processes_of(run: Path) -> Iterator[int]:
    """Yield dockerd, containerd and shims (by command line) and containers' processes (cgroup)."""
    program_mark = os.fsencode(run) + b"/"
    cgroup_mark = b"/" + os.fsencode(run.name) + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        try:
            name = (process / "comm").read_text()
            command = (process / "cmdline").read_bytes()
            cgroups = (process / "cgroup").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        is_program = name.startswith(_PROGRAMS) and program_mark in command
        if (is_program or cgroup_mark in cgroups) and _alive(process):
            yield pid


def _alive(process: Path) -> bool:
    """Tell whether it is not a zombie; those need no killing, and only their parent can."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _unmount_below(*directories: Path) -> None:
    """Detach every mount below these directories, the innermost first."""
    mounts = [
        Path(line.split(" ")[4].encode().decode("unicode_escape"))
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]
    umount = program("umount", package="mount")
    for mount in reversed(mounts):
        if any(mount.is_relative_to(directory) for directory in directories):
            subprocess.run([umount, "--lazy", str(mount)], check=False, timeout=10)


def _bridges_of(data: Path) -> list[str]:
    """Return the bridges here whose names are in the Engine's own network database."""
    try:
        database = (data / "root/network/files/local-kv.db").read_bytes()
    except FileNotFoundError:
        return []
    bridges = (interface.parent.name for interface in Path("/sys/class/net").glob("*/bridge"))
    return [name for name in bridges if b'"BridgeName":"%s"' % os.fsencode(name) in database]


def _remove_bridge(name: str) -> None:
    ip = program("ip", package="iproute2")
    subprocess.run([ip, "link", "delete", name], check=False, timeout=10)


def _remove_cgroups(run: Path) -> None:
    """Remove the empty cgroups of the Engine, whatever hierarchies this machine has."""
    root = Path("/sys/fs/cgroup")
    for top in (*root.glob(run.name), *root.glob(f"*/{run.name}")):
        for group, _, _ in os.walk(top, topdown=False):
            try:
                Path(group).rmdir()
            except OSError:
                continue  # the kernel is still emptying it; an empty cgroup costs nothing


def _watch() -> None:
    """Be the watcher described above."""
    run, data, *keep = sys.argv[1:]
    if sys.stdin.buffer.read() == DONE:
        return
    try:
        sweep(Path(run), Path(data), keep=bool(keep))
    except PartUnavailable as problem:
        sys.exit(f"testbed: {problem}")


if __name__ == "__main__":
    _watch()
