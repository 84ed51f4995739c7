"""Which process listens where, as /proc says it (proc(5))."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"


def listens_on(pid: int, ports: Sequence[int]) -> bool:
    """Return whether this very process listens on all of these IPv4 ports."""
    own = {_socket(descriptor) for descriptor in (Path("/proc") / str(pid) / "fd").iterdir()}
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN and f"socket:[{fields[9]}]" in own:
            found.add(int(fields[1].partition(":")[2], 16))
    return found.issuperset(ports)


def _socket(descriptor: Path) -> str:
    with suppress(OSError):  # closed meanwhile
        return str(descriptor.readlink())
    return ""
