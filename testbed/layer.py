"""The one layer of our images: busybox with its links, two scripts, and what the caller adds."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from testbed.processes import program

# PID 1 has no default signal handlers: without a trap it would take `docker stop` 10 s to end it.
_SERVE = """#!/bin/sh
# serve [PORT]: answer HTTP from /www until SIGTERM.
trap 'kill "$server"; exit 0' TERM
httpd -f -p "${1:-${PORT:-8080}}" -h /www &
server=$!
echo "serving on port ${1:-${PORT:-8080}}"
wait "$server"
"""
_WORK = """#!/bin/sh
# work: say so five times a second until SIGTERM.
trap 'echo "worker stopped"; exit 0' TERM
n=0
while :; do n=$((n + 1)); echo "worker tick $n"; usleep 200000; done
"""


def layer(files: Mapping[str, str | bytes]) -> bytes:
    """Return the layer, a tar archive; ``files`` as ``images.build`` has them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "tmp"):
            directory = tarfile.TarInfo(name)
            directory.type = tarfile.DIRTYPE
            directory.mode = 0o1777 if name == "tmp" else 0o755
            tar.addfile(directory)
        busybox = Path(program("busybox", package="busybox-static"))
        _add_file(tar, "/bin/busybox", busybox.read_bytes(), executable=True)
        for applet in _applets(str(busybox)):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type = tarfile.SYMTYPE
            link.linkname = "busybox"
            tar.addfile(link)
        scripts = {
            "/etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            "/bin/serve": _SERVE,
            "/bin/work": _WORK,
        }
        for path, content in {**scripts, **files}.items():
            data = content.encode() if isinstance(content, str) else content
            _add_file(tar, path, data, executable=data.startswith(b"#!"))
    return buffer.getvalue()


@cache
def _applets(busybox: str) -> list[str]:
    """Return what this busybox can be called as, itself excepted."""
    listed = subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, check=True, timeout=10
    )
    return sorted(set(listed.stdout.split()) - {"busybox"})


def _add_file(tar: tarfile.TarFile, path: str, data: bytes, *, executable: bool) -> None:
    file = tarfile.TarInfo(path.lstrip("/"))
    file.size = len(data)
    file.mode = 0o755 if executable else 0o644
    tar.addfile(file, io.BytesIO(data))
