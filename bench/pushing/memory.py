"""What a process and its children hold in memory, as /proc says it (proc(5)). Bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PERIOD_SECONDS = 0.002  # a git that takes in two files lives for some 5 ms
_RESET_PEAK = "5"  # clear_refs: set the peak (VmHWM) to what is resident now


class Growth:
    """``with Growth(pid) as growth:`` how far one process's resident memory rose meanwhile."""

    def __init__(self, pid: int) -> None:
        self._process = Path("/proc") / str(pid)
        self.bytes = 0

    def __enter__(self) -> Self:
        (self._process / "clear_refs").write_text(_RESET_PEAK)
        self._before = _status(self._process, "VmRSS")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bytes = _status(self._process, "VmHWM") - self._before


class GitChildren:
    """``with GitChildren(pids) as children:`` the peak of the largest ``git`` below the servers.

    It looks so often that it costs time itself: use it around pushes that nobody times.
    """

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_PERIOD_SECONDS):
            for server in self._servers:
                for process in _descendants(Path("/proc") / str(server)):
                    with suppress(OSError):  # it ended meanwhile
                        if (process / "exe").readlink().name == "git":
                            self.peak = max(self.peak, _status(process, "VmHWM"))


def _descendants(process: Path) -> Iterator[Path]:
    with suppress(OSError):
        for task in (process / "task").iterdir():
            for pid in (task / "children").read_text().split():
                child = Path("/proc") / pid
                yield child
                yield from _descendants(child)


def _status(process: Path, field: str) -> int:
    """Return a field of /proc/PID/status; 0 for a process that has no memory any more."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    return 0
